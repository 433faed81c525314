"""Single sign-on with a real Kerberos server and the people of a FreeIPA-shaped directory."""

from __future__ import annotations

import base64

import pytest

from tests.functional.directory import Company
from tests.functional.world import form
from tests.rig import people
from tests.rig.kdc import kdc
from tests.rig.slapd import slapd

CONSOLE = "HTTP/console.example.org"


@pytest.fixture(scope="module")
def server():
    with slapd() as running:
        yield running


@pytest.fixture(scope="module")
def realm():
    with kdc("IPA.EXAMPLE") as running:
        for name in ("ann", "ben", "nobody"):
            running.add_person(name)
        running.add_service(CONSOLE)
        yield running


@pytest.fixture
def company(sqlite_world, server, realm):
    made = Company(sqlite_world, server)
    made.make_realm(
        kind="freeipa",
        base=people.IPA,
        bind_dn=people.IPA_SERVICE,
        kerberos_principal=f"{CONSOLE}@{realm.realm}",
        kerberos_keytab=str(realm.keytab),
        kerberos_realm=realm.realm,
    )
    return made


def negotiate(company, realm, who):
    """Sign in as a browser with the ticket of somebody; return browser, answer and ticket."""
    realm.kinit(who)
    with realm.browser(f"{CONSOLE}@{realm.realm}") as ticket:
        token = base64.b64encode(ticket.token()).decode()
        browser = company.world.anonymous()
        headers = {"Authorization": f"Negotiate {token}"}
        answer = browser.fetch("/signin/kerberos?realm=example", headers=headers)
        reply = answer.headers.get("WWW-Authenticate", "").partition(" ")[2]
        content = bool(reply) and ticket.is_content_with(base64.b64decode(reply))
    return browser, answer, content


@pytest.mark.requirement("OVT-25")
def test_a_ticket_signs_in_without_a_password(company, realm):
    visitor = company.world.anonymous()
    offered = visitor.get("/signin?next=/machines").lxml.xpath("//a[contains(., 'Kerberos')]/@href")
    asked = visitor.fetch(offered[0])
    assert asked.status_int == 401
    assert asked.headers["WWW-Authenticate"] == "Negotiate"
    assert "Sign in with name and password" in asked

    browser, answer, content = negotiate(company, realm, "ann")
    assert answer.status_int == 303
    assert content, "the console proved itself to the browser"
    assert "ann@example" in browser.get("/profile")
    assert company.groups_of("ann") == {"ops", "staff"}
    company.grant_to_group("staff", "Monitor")
    assert browser.get("/").status_int == 200


@pytest.mark.parametrize("who", ["ben", "nobody"])
def test_a_ticket_of_a_disabled_or_unknown_user_signs_nobody_in(company, realm, who):
    browser, answer, _ = negotiate(company, realm, who)
    assert answer.status_int == 422
    assert "Sign in with name and password" in answer
    assert browser.fetch("/profile").status_int == 303


@pytest.mark.parametrize("token", ["", "not base64!", "TlRMTVNTUAABAAAA", "AAAA"])
def test_what_is_no_ticket_is_refused(company, token):
    browser = company.world.anonymous()
    headers = {"Authorization": f"Negotiate {token}"}
    answer = browser.fetch("/signin/kerberos?realm=example", headers=headers)
    assert answer.status_int == 422
    assert "signin.kerberos" in answer


def test_a_realm_without_single_sign_on_has_none(company):
    browser = company.world.anonymous()
    assert browser.fetch("/signin/kerberos?realm=internal").status_int == 422
    assert browser.fetch("/signin/kerberos").status_int == 422


def test_the_connection_test_tries_the_keytab_too(company):
    admin = company.world.signed_in(company.world.admin())
    path = f"/realms/{company.realm_id}"
    page = form(admin.get(path), f"{path}/check").submit()
    assert "has a key of HTTP/console.example.org" in page
    assert "certificate verified" in page
