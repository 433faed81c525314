"""Every address says what it is about, every view whom it is for, and no POST goes unchecked."""

from __future__ import annotations

import pytest
import yaml
from pyramid.security import NO_PERMISSION_REQUIRED

from ovcadmin import api
from ovcadmin.routes import PAGES
from ovcadmin.security import contexts
from ovcadmin.security.policy import PARENT, SIGNED_IN
from ovcadmin.security.privileges import Privilege

OPEN = {"sign_in", "sign_in_code", "sign_in_kerberos", "error_article"}
"""Pages for everybody.  The contract of the API may be read by everybody as well."""
OPEN_API = {"pyramid_openapi3.spec"}
WITHOUT_TOKEN = {("sign_in", "POST"), ("sign_in_code", "POST")}
"""No session yet, so no token of one; its origin is checked."""
CONTRACT = yaml.safe_load(api.CONTRACT.read_text())
KNOWN = {SIGNED_IN, *Privilege, *(PARENT + privilege for privilege in Privilege)}


def _methods(view):
    methods = view["request_methods"]
    return (methods,) if isinstance(methods, str) else tuple(methods or ("any",))


def test_every_page_route_has_a_context_factory():
    assert [name for name, _, factory in PAGES if not callable(factory)] == []
    anybody = {name for name, _, factory in PAGES if factory is contexts.anybody}
    assert anybody <= OPEN | {"sign_out"}


def test_every_address_of_the_contract_has_a_context_factory():
    for path, item in CONTRACT["paths"].items():
        factory = item.get("x-pyramid-root-factory")
        assert factory.startswith("ovcadmin.security."), path


def test_every_operation_of_the_contract_has_a_view_and_the_reverse(views):
    promised = {
        (item["x-pyramid-route-name"], method.upper())
        for item in CONTRACT["paths"].values()
        for method in item
        if method in ("get", "post", "put", "patch", "delete")
    }
    there = {
        (view["route_name"], method)
        for view in views
        if view["route_name"].startswith("api.")
        for method in _methods(view)
        if method != "HEAD"
    }
    assert there == promised


def test_every_page_route_has_a_view(views):
    assert {name for name, _, _ in PAGES} - {view["route_name"] for view in views} == set()


def test_every_view_says_whom_it_is_for(views):
    unsaid = [view["route_name"] for view in views if view["permission"] is None]
    assert unsaid == []
    open_views = {
        view["route_name"] for view in views if view["permission"] == NO_PERMISSION_REQUIRED
    }
    assert open_views == OPEN | OPEN_API
    named = {view["permission"] for view in views} - {NO_PERMISSION_REQUIRED}
    assert named <= KNOWN


def test_every_view_names_its_methods(views):
    unsaid = {view["route_name"] for view in views if not view["request_methods"]}
    assert unsaid <= OPEN_API


def test_only_sign_in_has_no_csrf_token(views):
    exempt = {
        (view["route_name"], method)
        for view in views
        if view.get("csrf_token", True) is not True
        for method in _methods(view)
    }
    assert exempt == WITHOUT_TOKEN


@pytest.mark.parametrize("word", ["new", "fragments", "bulk"])
def test_ids_are_numbers_so_words_cannot_be_taken_for_them(word):
    assert all(f"/{{id}}/{word}" not in pattern for _, pattern, _ in PAGES)
    assert all("{id}" not in pattern for _, pattern, _ in PAGES)
