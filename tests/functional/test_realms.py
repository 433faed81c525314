"""Directory realms as an administrator makes, tests, changes and synchronises them."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from ovcadmin.models import Audit, Operation, Realm
from tests.functional.directory import Company
from tests.functional.world import form
from tests.rig import people
from tests.rig.slapd import slapd


@pytest.fixture(scope="module")
def server():
    with slapd() as running:
        yield running


@pytest.fixture
def company(sqlite_world, server):
    return Company(sqlite_world, server)


@pytest.fixture
def admin(company):
    return company.world.signed_in(company.world.admin())


def fill(page, **values):
    shown = form(page)
    for name, value in values.items():
        shown[name] = value
    return shown.submit(expect_errors=True)


def test_a_realm_is_made_disabled_tested_step_by_step_and_enabled(company, admin):
    answer = fill(admin.get("/realms/new"), **company.settings(), name="example")
    page = answer.follow()
    path = page.request.path
    assert "disabled: signs nobody in" in page
    assert "realm" not in form(company.world.anonymous().get("/signin"), "/signin").fields

    found = form(page, f"{path}/check").submit()
    steps = [
        row.text_content().split() for row in found.lxml.xpath("//*[@id='findings']//tbody/tr")
    ]
    assert [step[0] for step in steps] == ["connection", "service", "people", "groups"]
    assert "certificate verified" in found
    assert "5 people below ou=people" in found

    page = form(page, f"{path}/enabled").submit("enabled").follow()
    assert "is enabled" in page
    assert company.browser("ann")[1].status_int == 303
    assert "Example Ltd" in admin.get("/realms")


def test_the_connection_test_says_which_step_failed_and_why(company, admin):
    company.make_realm(bind_password="wrong")
    path = f"/realms/{company.realm_id}"
    found = form(admin.get(path), f"{path}/check").submit()
    assert "connection good" in " ".join(found.lxml.xpath("string(//*[@id='findings'])").split())
    assert "service account failed" in " ".join(
        found.lxml.xpath("string(//*[@id='findings'])").split()
    )


def test_the_password_is_sealed_and_shown_nowhere(company, admin):
    company.make_realm()
    world, path = company.world, f"/realms/{company.realm_id}"
    for page in (admin.get(path), admin.get(f"{path}/edit"), admin.get("/realms")):
        assert people.PASSWORD not in page
    with world.work() as work:
        row = work.db.get(Realm, company.realm_id)
        assert people.PASSWORD not in str(row.settings) + str(row.sealed_password)
        told = work.db.scalars(
            select(Audit).where(Audit.object_kind == "realm").order_by(Audit.id)
        ).all()
        assert told
        assert people.PASSWORD not in str([line.after for line in told])


def test_the_password_is_not_sent_to_other_servers_without_being_typed_again(company, admin):
    company.make_realm()
    path = f"/realms/{company.realm_id}/edit"
    answer = fill(admin.get(path), servers="192.0.2.1")
    assert answer.status_int == 422
    assert "Enter it again" in answer
    assert fill(admin.get(path), label="Example Inc").status_int == 303
    assert company.browser("ann")[1].status_int == 303


@pytest.mark.parametrize(
    "field, value, wrong",
    [
        ("servers", "ldap://x", "is no server"),
        ("authority", "no certificate", "no certificate in PEM form"),
        ("sync_minutes", "999999", "Choose 0"),
        ("kerberos_principal", "HTTP/x@Y", "needs principal, keytab and Kerberos realm"),
        ("user_bind", "cn=x", "where the name stands"),
        ("base", "somewhere", "is no DN"),
        ("groups_base", "teams", "is no DN"),
        ("people_filter", "(a=b)(c=d)", "is no filter"),
        ("bind_password", "", "needs a password"),
        ("name", "two words", "Use one word"),
        ("name", "internal", "already a realm internal"),
    ],
)
def test_a_wrong_setting_is_told_and_what_was_typed_is_kept(company, admin, field, value, wrong):
    given = {**company.settings(), "name": "example", field: value}
    answer = fill(admin.get("/realms/new"), **given)
    assert answer.status_int in (409, 422)
    assert wrong in answer
    assert form(answer)["label"].value == "Example Ltd"
    with company.world.work() as work:
        assert work.db.scalars(select(Realm.name)).all() == ["internal"]


def test_two_tabs_do_not_overwrite_each_other(company, admin):
    company.make_realm()
    path = f"/realms/{company.realm_id}/edit"
    first, second = admin.get(path), admin.get(path)
    assert fill(first, label="First").status_int == 303
    assert fill(second, label="Second").status_int == 412
    assert "First" in admin.get("/realms")


def test_a_synchronisation_is_asked_for_and_shown(company, admin):
    company.make_realm()
    path = f"/realms/{company.realm_id}"
    assert "No synchronisation ended well yet" in admin.get(f"{path}/changes")
    page = form(admin.get(path), f"{path}/sync").submit("dry").follow()
    assert "nothing is changed" in page
    assert "The directory is being read" in page
    assert "Trial" in admin.get(path)
    with company.world.work() as work:
        asked = work.db.scalars(select(Operation)).one()
        assert asked.params == {"realm_id": company.realm_id, "dry": True, "even_many": False}


def test_another_filter_of_groups_is_tried_and_not_saved(company, admin):
    company.make_realm()
    path = f"/realms/{company.realm_id}"
    page = admin.get(path).click("Try other people and groups")
    refused = fill(page, groups_filter="(cn=dev")
    assert refused.status_int == 422
    assert form(refused)["groups_filter"].value == "(cn=dev"
    assert "The directory is being read" in fill(page, groups_filter="(cn=dev)").follow()
    with company.world.work() as work:
        asked = work.db.scalars(select(Operation)).one()
        assert asked.params["mapping"]["groups_filter"] == "(cn=dev)"
        assert asked.params["dry"] is True
        assert work.db.get(Realm, company.realm_id).settings["groups_filter"] == ""
    edited = form(admin.get(f"{path}/edit?trial={asked.id}"))
    assert edited["groups_filter"].value == "(cn=dev)"
    assert form(admin.get(f"{path}/edit?trial=9999"))["groups_filter"].value == ""


def test_only_super_admins_look_after_realms(company):
    company.make_realm()
    world = company.world
    for role, status in (("Administrator", 403), ("Help Desk", 403), (None, 404)):
        browser = world.signed_in(world.user(f"a{status}{role}", role))
        for path in ("/realms", "/realms/new", f"/realms/{company.realm_id}", "/realms/9999"):
            assert browser.fetch(path).status_int == status
        assert browser.send(f"/realms/{company.realm_id}/enabled", {}).status_int == status
        assert browser.send(f"/realms/{company.realm_id}/sync", {"dry": "yes"}).status_int == status
    admin = world.signed_in(world.admin())
    assert admin.fetch("/realms/9999").status_int == 404
    assert admin.fetch("/realms/1").status_int == 404, "the internal realm has nothing to set"


def test_home_tells_that_a_directory_is_not_in_line(company, admin):
    company.make_realm()
    with company.world.work() as work:
        realm = work.db.get(Realm, company.realm_id)
        realm.sync_error = "The directory showed nobody at all."
    page = admin.get("/")
    assert "not synchronised" in page
    assert "showed nobody at all" in page
    helper = company.world.signed_in(company.world.user("helper", "Help Desk"))
    assert "not synchronised" not in helper.get("/")
