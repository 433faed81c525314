"""What somebody may do, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.view import view_config

from ovcadmin.errors import NotFound
from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import privileges_on
from ovcadmin.services import groups, people, pools, rights
from ovcadmin.services.rights import Holding, Rights
from ovcadmin.views.pages import Page
from ovcadmin.views.privileges import WORDS
from ovcadmin.views.tables import whole_number

MOST_POOLS = 200
"""With more pools than that the list to choose from would be of no use: one starts at a pool."""


@dataclass(frozen=True, kw_only=True)
class RightsPage(Page):
    tab: str = "users"
    person: Any
    own: bool
    """Whether it is the reader himself."""
    groups: Sequence[Any]
    holdings: Sequence[Holding]
    pools: Sequence[Any]
    """To choose from: the pools whose grants the reader sees."""
    rights: Rights | None
    words: Sequence[tuple[str, str, bool, str]]
    """Each privilege: its name, what it allows, whether it is held, by which roles."""


@view_config(
    route_name="user_rights",
    request_method="GET",
    renderer="rights/rights.pt",
    permission=Privilege.SEE_GRANTS,
)
def show(context: Any, request: Any) -> dict[str, Any]:
    return _page(request, context.user, Privilege.SEE_GRANTS)


@view_config(
    route_name="profile_rights",
    request_method="GET",
    renderer="rights/rights.pt",
    permission=SIGNED_IN,
)
def own(request: Any) -> dict[str, Any]:
    """Tell anybody what he may do himself, and why."""
    return _page(request, people.get(request.work, request.identity.user_id), Privilege.VIEW)


def _page(request: Any, person: Any, needed: Privilege) -> dict[str, Any]:
    """Show the person's rights, on pools where the reader holds `needed`."""
    work = request.work
    nodes = pools.tree(work, needed)
    found = rights.on(work, person, _pool(request, needed)) if request.GET.get("pool") else None
    return {
        "page": RightsPage(
            title=f"Rights of {person.label}",
            section="users" if needed is Privilege.SEE_GRANTS else "profile",
            own=needed is Privilege.VIEW,
            person=person,
            groups=groups.of(work, person),
            holdings=rights.holdings(work, person),
            pools=nodes if len(nodes) <= MOST_POOLS else (),
            rights=found,
            words=_words(found) if found else (),
        )
    }


def _words(found: Rights) -> list[tuple[str, str, bool, str]]:
    return [
        (
            word,
            meaning,
            one in found.privileges,
            ", ".join(
                sorted({reason.role.name for reason in found.reasons if one in reason.privileges})
            ),
        )
        for one, (word, meaning) in WORDS.items()
    ]


def _pool(request: Any, needed: Privilege) -> Any:
    """Return the pool that the address names, if the reader holds there what it takes."""
    pool_id = whole_number(request.GET["pool"], 0)
    held = privileges_on(request.db, request.identity.user_id, pool_id)
    if needed not in held:
        raise NotFound("There is nothing here, or nothing that you may see.")
    return pools.get(request.work, pool_id)
