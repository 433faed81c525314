"""Looking after users: of the console itself, and in a writable directory as ldapsearch sees it."""

from __future__ import annotations

import threading
import time

import pytest
from sqlalchemy import func, select

from ovcadmin.models import Grant, User
from ovcadmin.services import people as accounts
from ovcadmin.services import realms
from tests.functional.directory import Company
from tests.functional.test_sign_in import sign_in
from tests.functional.world import PASSWORD, form
from tests.rig import people
from tests.rig.slapd import slapd

NEW_PASSWORD = "a new and long one"


@pytest.fixture(scope="module")
def server():
    with slapd() as running:
        yield running


@pytest.fixture
def company(world, server):
    made = Company(world, server)
    made.make_realm()
    return made


def post(browser, path, fields=None, button=None):
    """Fill in the form of a page, submit it, and return what comes then."""
    page = browser.get(path)
    shown = form(page)
    for name, value in (fields or {}).items():
        shown[name] = value
    answer = (
        shown.submit(button, expect_errors=True) if button else shown.submit(expect_errors=True)
    )
    return answer.follow() if answer.status_int == 303 else answer


def test_a_list_of_users_is_searched_filtered_and_paged(world):
    with world.work() as work:
        realm = realms.listing(work)[0]
        many = [f"user{number:02}" for number in range(60)]
        work.db.add_all(User(realm_id=realm.id, name=name, name_key=name) for name in many)
    browser = world.signed_in(world.admin())
    page = browser.get("/users")
    assert "61 users" in page
    assert "1–50 of 61" in page
    assert "user01" in page
    assert "user55" not in page
    assert "user55" in page.click("Next")
    assert "1 user" in browser.get("/users?q=USER07")
    assert "Nobody fits" in browser.get("/users?state=disabled")
    assert "Nobody fits" in browser.get("/users?q=%25")


@pytest.mark.requirement("OVC-29")
def test_only_who_sees_grants_finds_people(world):
    plain, helper = world.user("plain", "User"), world.user("helper", "Help Desk")
    assert "People" not in world.signed_in(plain).get("/machines").lxml.xpath("string(//nav)")
    assert world.signed_in(plain).fetch("/users").status_int == 403
    shown = world.signed_in(helper)
    assert "People" in shown.get("/machines").lxml.xpath("string(//nav)")
    assert "New user" not in shown.get("/users")
    assert shown.fetch("/users/new").status_int == 403
    assert shown.fetch("/realms").status_int == 403


def test_a_user_of_the_console_is_made_edited_disabled_and_deleted(world, visitor):
    admin = world.signed_in(world.admin())
    page = post(
        admin, "/users/new", {"name": "nina", "password": PASSWORD, "display_name": "Nina N"}
    )
    assert "Nina N is created." in page
    path = page.request.path
    assert sign_in(visitor, "nina").status_int == 303
    with world.work() as work:
        stored = work.db.scalars(select(User.password_hash).where(User.name == "nina")).one()
    assert stored.startswith("$argon2id$v=19$m=65536,t=3,p=4$")

    assert "Nina M" in post(admin, f"{path}/edit", {"display_name": "Nina M", "email": "n@x.org"})
    assert "no mail address" in post(admin, f"{path}/edit", {"email": "nonsense"})
    wrong = post(admin, f"{path}/password", {"new": NEW_PASSWORD, "again": "other"})
    assert "The two entries differ" in wrong
    assert "is set" in post(admin, f"{path}/password", {"new": NEW_PASSWORD, "again": NEW_PASSWORD})
    assert visitor.fetch("/profile").status_int == 303
    assert sign_in(visitor, "nina").status_int == 422
    assert sign_in(visitor, "nina", NEW_PASSWORD).status_int == 303

    shown = form(admin.get(path), f"{path}/enabled").submit("enabled").follow()
    assert "disabled and out" in shown
    assert visitor.fetch("/profile").status_int == 303
    assert sign_in(visitor, "nina", NEW_PASSWORD).status_int == 422
    assert "is enabled" in form(shown, f"{path}/enabled").submit("enabled").follow()
    assert sign_in(visitor, "nina", NEW_PASSWORD).status_int == 303
    assert "This will be lost" in admin.get(f"{path}/delete")
    assert "Nina M is deleted" in post(admin, f"{path}/delete")
    assert "Nina" not in admin.get("/users").lxml.xpath("string(//table)")
    assert visitor.fetch("/profile").status_int == 303
    # The name is free again.
    assert "is created" in post(admin, "/users/new", {"name": "nina", "password": PASSWORD})


def test_the_last_super_admin_and_oneself_stay(world):
    admin = world.admin()
    browser = world.signed_in(admin)
    own = f"/users/{admin.id}"
    refused = form(browser.get(own), f"{own}/enabled").submit("enabled", expect_errors=True)
    assert refused.status_int == 409
    assert post(browser, f"{own}/delete").status_int == 409

    other = world.user("other", "Super Admin")
    assert (
        "disabled and out"
        in form(browser.get(f"/users/{other.id}"), f"/users/{other.id}/enabled")
        .submit("enabled")
        .follow()
    )


@pytest.mark.requirement("OVC-29", "KVM-62")
def test_a_user_of_the_directory_is_made_changed_disabled_and_deleted_there(company):
    server, world = company.server, company.world
    admin = world.signed_in(world.admin())
    page = post(
        admin,
        "/users/new",
        {"name": "dora", "realm": "example", "password": people.PASSWORD, "display_name": "Dora D"},
    )
    assert "Dora D is created." in page
    path = page.request.path
    assert "displayName: Dora D" in server.search("(uid=dora)")
    assert company.browser("dora")[1].status_int == 303

    post(admin, f"{path}/edit", {"display_name": "Dora E", "email": "dora@example.org"})
    assert "mail: dora@example.org" in server.search("(uid=dora)")
    assert "Dora E" in admin.get(path)
    post(admin, f"{path}/password", {"new": NEW_PASSWORD, "again": NEW_PASSWORD})
    browser, answer = company.browser("dora", NEW_PASSWORD)
    assert answer.status_int == 303
    assert company.browser("dora")[1].status_int == 422

    shown = form(admin.get(path), f"{path}/enabled").submit("enabled").follow()
    assert "disabled by the directory" in shown
    assert "pwdAccountLockedTime: 000001010000Z" in server.search("(uid=dora)", "+")
    assert company.browser("dora", NEW_PASSWORD)[1].status_int == 422
    assert "is enabled" in form(shown, f"{path}/enabled").submit("enabled").follow()
    assert "pwdAccountLockedTime" not in server.search("(uid=dora)", "+")
    assert "Dora E is deleted" in post(admin, f"{path}/delete")
    assert "uid=dora" not in server.search("(uid=dora)")
    assert company.user("dora") is None or company.user("dora").disabled_by == "removed"
    assert browser.fetch("/profile").status_int == 303


def test_a_weak_password_and_a_taken_name_are_told_at_their_fields(company):
    admin = company.world.signed_in(company.world.admin())
    new = {"name": "weak", "realm": "example", "password": "short"}
    answer = post(admin, "/users/new", new)
    assert answer.status_int == 422
    assert form(answer)["name"].value == "weak"
    assert "uid=weak" not in company.server.search("(uid=weak)")
    answer = post(admin, "/users/new", {**new, "name": "ann", "password": people.PASSWORD})
    assert answer.status_int == 409
    assert "name.taken" in answer


@pytest.mark.requirement("KVM-57")
def test_a_user_changes_his_own_password_in_the_directory(company):
    company.server.add([people.person("pia")])
    browser, _ = company.browser("pia")
    try:
        for typed, wrong in (
            ({"old": "not mine", "new": NEW_PASSWORD, "again": NEW_PASSWORD}, "present password"),
            ({"old": people.PASSWORD, "new": NEW_PASSWORD, "again": "x"}, "The two entries differ"),
        ):
            shown = form(browser.get("/profile"), "/profile/password")
            for name, value in typed.items():
                shown[name] = value
            answer = shown.submit(expect_errors=True)
            assert answer.status_int == 422
            assert wrong in answer
        shown = form(browser.get("/profile"), "/profile/password")
        shown["old"], shown["new"], shown["again"] = people.PASSWORD, NEW_PASSWORD, NEW_PASSWORD
        assert "Your password is changed" in shown.submit().follow()
        assert company.browser("pia")[1].status_int == 422
        assert company.browser("pia", NEW_PASSWORD)[1].status_int == 303
    finally:
        company.server.delete(f"uid=pia,ou=people,{people.EXAMPLE}")


def test_users_of_a_read_only_directory_are_disabled_here_only(company):
    world = company.world
    admin = world.signed_in(world.admin())
    edited = form(admin.get(f"/realms/{company.realm_id}/edit"))
    edited["writable"] = False
    edited.submit().follow()
    browser, _ = company.browser("bob")
    path = f"/users/{company.user('bob').id}"
    page = admin.get(path)
    assert "Set a password" not in page
    assert admin.fetch(f"{path}/delete").status_int == 200
    assert post(admin, f"{path}/delete").status_int == 403
    assert "disabled and out" in form(page, f"{path}/enabled").submit("enabled").follow()
    assert browser.fetch("/profile").status_int == 303
    assert company.browser("bob")[1].status_int == 422
    with world.work() as work:
        bob = work.db.get(User, company.user("bob").id)
        assert bob.disabled_by == accounts.ADMINISTRATOR


def test_a_directory_that_hangs_keeps_no_other_writer_waiting(company):
    world, server = company.world, company.server
    company.browser("ann")
    admin, other = world.signed_in(world.admin()), world.signed_in(world.admin())
    edited = form(admin.get(f"/users/{company.user('ann').id}/edit"))
    edited["display_name"] = "Somebody Else"
    answers = []
    hanging = threading.Thread(target=lambda: answers.append(edited.submit(expect_errors=True)))
    server.freeze()
    try:
        hanging.start()
        began = time.monotonic()
        root = world.root().id
        made = other.send(f"/pools/new?parent={root}", {"name": "Meanwhile", "description": ""})
        assert made.status_int == 303
        assert time.monotonic() - began < 2
        hanging.join(30)
    finally:
        server.thaw()
    assert answers[0].status_int == 503
    assert "directory.unreachable" in answers[0]
    assert form(answers[0])["display_name"].value == "Somebody Else"
    assert company.user("ann").display_name == "Ann Example"


def test_whom_the_history_names_is_deleted_without_a_trace_in_lists(world):
    admin, nina = world.signed_in(world.admin()), world.user("nina", "Super Admin")
    browser = world.signed_in(nina)
    root = world.root().id
    browser.send(f"/pools/new?parent={root}", {"name": "Ninas", "description": ""})
    assert "nina is deleted" in post(admin, f"/users/{nina.id}/delete")
    assert browser.fetch("/profile").status_int == 303
    assert "Nobody fits" in admin.get("/users?q=nina")
    assert admin.fetch(f"/users/{nina.id}").status_int == 404
    assert admin.send(f"/users/{nina.id}/enabled", {"enabled": "yes"}).status_int == 404
    with world.work() as work:
        row = work.db.get(User, nina.id)
        assert (row.disabled_by, row.password_hash) == ("removed", None)
        assert work.db.scalar(select(func.count(Grant.id)).where(Grant.user_id == nina.id)) == 0
    page = post(admin, "/users/new", {"name": "nina", "password": PASSWORD})
    assert "nina is created" in page
    assert page.request.path != f"/users/{nina.id}"


def test_an_administrator_ends_sessions_and_tokens_of_somebody(world):
    anna = world.user("anna", "User")
    first, second = world.signed_in(anna), world.signed_in(anna)
    api = world.api(anna)
    admin = world.signed_in(world.admin())
    path = f"/users/{anna.id}"
    page = admin.get(path)
    assert "Token test" in page
    ends = [one for one in page.forms.values() if one.action == f"{path}/sessions/end"]
    assert len(ends) == 3
    assert "1 session of anna ended." in ends[0].submit("session").follow()
    out = [browser.fetch("/profile").status_int for browser in (first, second)]
    assert sorted(out) == [200, 303]
    every = form(admin.get(path), f"{path}/tokens/revoke")
    assert "is revoked" in every.submit("token").follow()
    assert api("GET", "/session").status_int == 401
    assert "1 session of anna ended." in admin.send(f"{path}/sessions/end").follow()
    assert [browser.fetch("/profile").status_int for browser in (first, second)] == [303, 303]
    assert admin.send(f"{path}/sessions/end", {"session": "999999"}).status_int == 404

    helper = world.signed_in(world.user("helga", "Help Desk"))
    assert "End all sessions" not in helper.get(path)
    assert helper.send(f"{path}/sessions/end").status_int == 403
