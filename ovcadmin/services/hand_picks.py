"""Choosing a host by hand: it takes the right to modify the host, and no rule is broken."""

from __future__ import annotations

from sqlalchemy import select

from ovcadmin.errors import Forbidden, NotFound
from ovcadmin.models import Host, Lineage, Pool
from ovcadmin.security.privileges import Privilege
from ovcadmin.security.visibility import visible
from ovcadmin.services import hosts
from ovcadmin.work import Work


def offered(work: Work, pool: Pool) -> list[Host]:
    """Return the hosts that serve the pool and that the actor may choose, by name."""
    chain = select(Lineage.ancestor_id).where(Lineage.pool_id == pool.id)
    statement = select(Host).where(Host.pool_id.in_(chain), Host.retired_at.is_(None))
    if work.actor.user_id is not None:
        right = visible(work.actor.user_id, Host.pool_id, Privilege.MODIFY)
        statement = statement.where(right)
    return list(work.db.scalars(statement.order_by(Host.name)))


def ensure_allowed(work: Work, host_id: int) -> None:
    """Raise `Forbidden` without the right to modify the host, `NotFound` when it is not seen."""
    user_id = work.actor.user_id
    if user_id is None:
        return
    mine = select(Host.id).where(
        Host.id == host_id, visible(user_id, Host.pool_id, Privilege.MODIFY)
    )
    if work.db.scalar(mine) is not None:
        return
    if host_id not in hosts.seen(work):
        raise NotFound("There is no such host.", host_id=host_id)
    raise Forbidden(
        "To choose a host yourself takes the privilege to modify in the host's pool. Leave the "
        "choice to the console, or ask whoever looks after the hosts.",
        host_id=host_id,
    )
