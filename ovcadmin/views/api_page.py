"""The API page: every call of the contract, each with a form that sends it in the reader's name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pyramid.view import view_config

from ovcadmin.security.policy import SIGNED_IN
from ovcadmin.services import contract
from ovcadmin.services.contract import Group
from ovcadmin.views.pages import Page


@dataclass(frozen=True, kw_only=True)
class ApiPage(Page):
    groups: Sequence[Group]
    prefix: str = contract.PREFIX


@view_config(
    route_name="api_page", request_method="GET", renderer="api/page.pt", permission=SIGNED_IN
)
def show(_request: Any) -> dict[str, Any]:
    return {"page": ApiPage(title="API", section="help", groups=contract.groups())}
