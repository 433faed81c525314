"""Whatever a page does, the REST API and `ovc` do too, and the reverse."""

from __future__ import annotations

import pytest

from ovcadmin.manage import parity
from ovcadmin.manage.commands import callers, calls
from ovcadmin.security.privileges import Privilege

HOW = """
Each address of the pages needs a call of the REST API that does the same.  Either
- write the call (api/openapi/v1.yaml, api/<noun>.py) and its command (cli/<noun>.py), then add
  `"<route>": ("<operationId>",)` to SAME in ovcadmin/manage/parity.py; or
- when programs truly have no use for it, add the route with its reason to PEOPLE_ONLY there.
Then write the tables anew:
    python -m ovcadmin.manage.main docs commands docs/ovc-commands.md
    python -m ovcadmin.manage.main docs faces ovcadmin/views/faces.json"""


def test_every_page_has_a_call_of_the_api_or_a_reason():
    told = parity.SAME.keys() | parity.PEOPLE_ONLY.keys()
    assert parity.pages().keys() - told == set(), HOW


def test_the_tables_name_only_what_there_is():
    told = parity.SAME.keys() | parity.PEOPLE_ONLY.keys()
    assert told - parity.pages().keys() == set(), "these routes are gone from ovcadmin/routes.py"
    assert parity.pages_of().keys() - calls().keys() == set(), "the contract has no such calls"
    twice = parity.SAME.keys() & parity.PEOPLE_ONLY.keys()
    assert twice == set(), "these are done: take them out of PEOPLE_ONLY"


def test_every_call_of_the_api_has_a_page_or_a_reason():
    told = parity.pages_of().keys() | parity.PROGRAMS_ONLY.keys()
    assert calls().keys() - told == set(), (
        "name these calls in SAME beside the page that does the same, or in PROGRAMS_ONLY with "
        "the reason (ovcadmin/manage/parity.py)"
    )


@pytest.mark.requirement("KVM-67")
def test_no_gap_is_one_of_those_who_run_the_cloud(views):
    """What only pages do needs no right over machines, pools, hosts, storage, quota or people."""
    over = {
        str(Privilege.CONTROL), str(Privilege.CREATE), str(Privilege.MODIFY),
        str(Privilege.SET_QUOTA), str(Privilege.SET_GRANTS),
    }  # fmt: skip
    needed = {
        view["route_name"]: str(view["permission"])
        for view in views
        if view["route_name"] in parity.PEOPLE_ONLY
    }
    assert needed.keys() == parity.PEOPLE_ONLY.keys()
    assert {route: right for route, right in needed.items() if right in over} == {}
    assert calls().keys() - callers().keys() == set(), "and `ovc` does all that the API does"
