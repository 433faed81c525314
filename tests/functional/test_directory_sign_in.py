"""Signing in with a company directory, a real OpenLDAP, as somebody at a browser does it."""

from __future__ import annotations

import threading
import time
from itertools import count

import pytest
from sqlalchemy import func, select

from ovcadmin.models import SignInFailure, User
from ovcadmin.services import realms
from tests.functional.directory import Company
from tests.functional.world import PASSWORD as INTERNAL
from tests.functional.world import form
from tests.rig import domain as ad
from tests.rig import people
from tests.rig.domain import domain
from tests.rig.network import black_hole
from tests.rig.slapd import slapd

_numbers = count()
REFUSED = "This user name and password do not fit together."


@pytest.fixture(scope="module")
def server():
    with slapd() as running:
        yield running


@pytest.fixture
def company(world, server):
    made = Company(world, server)
    made.make_realm()
    return made


@pytest.fixture
def small_company(sqlite_world, server):
    """The same on SQLite only, for what the database has no part in."""
    made = Company(sqlite_world, server)
    made.make_realm()
    return made


@pytest.fixture
def guessed(server):
    """Somebody whose password is guessed at, which locks him in the directory."""
    name = f"guessed{next(_numbers)}"
    server.add([people.person(name)])
    return name


@pytest.mark.requirement("OVT-28")
def test_a_user_of_the_directory_without_grants_is_told_so(company):
    browser, answer = company.browser("ann")
    assert answer.status_int == 303
    page = browser.get("/").follow()
    assert "No access yet" in page
    assert "ann@example" in page
    assert "nobody has granted you anything" in page
    assert browser.get("/machines").status_int == 200
    assert browser.fetch(f"/pools/{company.world.root().id}").status_int == 404

    ann = company.user("ann")
    assert (ann.display_name, ann.email) == ("Ann Example", "ann@example.org")
    assert company.groups_of("ann") == {"dev", "engineering", "everybody", "many"}


def test_a_group_s_grant_opens_the_cloud_to_its_members(company):
    company.browser("ann")
    company.grant_to_group("engineering", "Monitor")
    browser, _ = company.browser("ann")
    page = browser.get("/")
    assert page.status_int == 200
    assert "Ann Example" in page


def test_a_wrong_password_an_unknown_and_a_disabled_user_get_in_nowhere(company, guessed):
    for name, password in ((guessed, "wrong"), ("nobody", people.PASSWORD)):
        answer = company.browser(name, password)[1]
        assert answer.status_int == 422
        assert REFUSED in answer
    answer = company.browser("gone")[1]
    assert answer.status_int == 422
    assert "signin.barred" in answer
    assert company.user("gone") is None
    assert company.user("nobody") is None


@pytest.mark.parametrize(
    "name",
    ["*)(uid=*))(|(uid=*", "ann*", "*", "ann)(objectClass=*", "ann\\2a", "a\u202enn", "an\tn"],
)
def test_fault_17_a_name_is_never_a_filter(small_company, name):
    _, answer = small_company.browser(name)
    assert answer.status_int in (400, 422)
    with small_company.world.work() as work:
        assert (
            work.db.scalar(select(func.count(User.id)).where(User.directory_key.is_not(None))) == 0
        )


@pytest.mark.parametrize("password", ["", " ", "\x00", "correct horse\x00"])
def test_fault_17_no_empty_or_broken_password_binds_as_anybody(small_company, password):
    _, answer = small_company.browser("ann", password)
    assert answer.status_int in (400, 422)
    assert small_company.user("ann") is None


def test_fault_14_a_name_of_any_spelling_is_one_user(company):
    composed = "j\u00fcrgen"
    company.server.add([people.person(composed, mail="jurgen@example.org")])
    try:
        for typed in ("ann", "ANN", " Ann ", composed, "ju\u0308rgen", "J\u00dcRGEN"):
            assert company.browser(typed)[1].status_int == 303, typed
        with company.world.work() as work:
            known = work.db.scalars(select(User.name).where(User.directory_key.is_not(None)))
            assert sorted(known) == ["ann", composed]
    finally:
        company.server.delete(f"uid={composed},ou=people,{people.EXAMPLE}")


def test_fault_14_a_user_who_was_renamed_and_moved_keeps_what_is_his(company):
    server, world = company.server, company.world
    places = f"ou=people,{people.EXAMPLE}"
    server.add([people.person("mover")])
    company.browser("mover")
    before = company.user("mover")
    pool = world.pool("Hers")
    world.grant(before, "User", pool)
    elsewhere = f"ou=branch,{places}"
    server.add([people.entry(elsewhere, "organizationalUnit", ou="branch")])
    server.rename(f"uid=mover,{places}", "uid=moved", elsewhere)
    server.modify(f"uid=moved,{elsewhere}", "replace: displayName", "displayName: Moved Person")
    try:
        browser, answer = company.browser("moved")
        assert answer.status_int == 303
        after = company.user("moved")
        assert after.id == before.id
        assert after.dn == f"uid=moved,{elsewhere}"
        assert browser.get(f"/pools/{pool.id}").status_int == 200
        # Whoever gets the old name is somebody else.
        server.add([people.person("mover")])
        stranger, _ = company.browser("mover")
        assert company.user("mover").id != before.id
        assert stranger.fetch(f"/pools/{pool.id}").status_int == 404
    finally:
        server.delete(f"uid=mover,{places}")
        server.delete(f"uid=moved,{elsewhere}")
        server.delete(elsewhere)


def test_fault_18_many_members_and_circles_of_groups_end(company):
    company.browser("bob")
    assert company.groups_of("bob") == {"engineering", "everybody", "round", "about", "many"}


def test_fault_18_a_wrong_certificate_is_told_and_nothing_is_sent(small_company):
    small_company.make_realm_named(
        "foreign", authority=small_company.server.foreign_ca_file.read_text()
    )
    browser = small_company.world.anonymous()
    answer = small_company.sign_in(browser, "ann", realm="foreign")
    assert answer.status_int == 502
    assert "directory.refused" in answer
    assert small_company.user("ann") is None


def test_fault_18_a_dead_first_server_costs_one_sign_in_only(small_company):
    def seconds(name):
        began = time.monotonic()
        answer = small_company.sign_in(small_company.world.anonymous(), name, realm="two")
        assert answer.status_int == 303
        return time.monotonic() - began

    with black_hole() as port:
        servers = f"127.0.0.1:{port} localhost:{small_company.server.port}"
        small_company.make_realm_named("two", servers=servers)
        assert seconds("ann") < 5
        assert max(seconds("ann"), seconds("bob")) < 2.5


def test_fault_18_a_dead_directory_blocks_no_page_and_no_internal_sign_in(small_company):
    world = small_company.world
    browser = world.signed_in(world.admin())
    world.user("ina", "User")
    with black_hole() as port:
        small_company.make_realm_named("dead", servers=f"127.0.0.1:{port}")
        answers = []

        def try_it():
            answer = small_company.sign_in(world.anonymous(), "ann", realm="dead")
            answers.append((answer.status_int, "directory.unreachable" in answer))

        crowd = [threading.Thread(target=try_it) for _ in range(12)]
        for one in crowd:
            one.start()
        began = time.monotonic()
        assert browser.get("/machines").status_int == 200
        assert (
            small_company.sign_in(world.anonymous(), "ina", INTERNAL, realm="internal").status_int
            == 303
        )
        assert time.monotonic() - began < 3
        for one in crowd:
            one.join(20)
    assert answers == [(503, True)] * 12
    with world.work() as work:
        assert work.db.scalar(select(func.count(SignInFailure.id))) == 0


def test_guessing_is_throttled_before_the_directory_locks_the_account(small_company, guessed):
    world = small_company.world
    app = world.app_with(signin_failures="2")
    visitor = type(world.anonymous())(app, extra_environ={"REMOTE_ADDR": "192.0.2.9"})
    for _ in range(2):
        assert small_company.sign_in(visitor, guessed, "wrong").status_int == 422
    assert small_company.sign_in(visitor, guessed, "wrong").status_int == 429
    # The directory locks after three: it was asked twice.
    assert (
        small_company.sign_in(world.anonymous(REMOTE_ADDR="192.0.2.10"), guessed).status_int == 303
    )


def test_a_disabled_realm_signs_nobody_in_and_its_users_are_out(company):
    company.browser("ann")
    company.grant_to_group("engineering", "User")
    browser, _ = company.browser("ann")
    assert browser.get("/profile").status_int == 200
    admin = company.world.signed_in(company.world.admin())
    shown = admin.get(f"/realms/{company.realm_id}")
    form(shown, f"/realms/{company.realm_id}/enabled").submit("enabled")
    assert browser.fetch("/profile").status_int == 303
    entry = form(company.world.anonymous().get("/signin"), "/signin")
    assert "realm" not in entry.fields
    with company.world.work() as work:
        assert realms.directories(work) == []


def test_many_first_sign_ins_of_one_user_make_one_user(company):
    answers = []
    crowd = [
        threading.Thread(target=lambda: answers.append(company.browser("bob")[1].status_int))
        for _ in range(3)
    ]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(30)
    assert answers == [303, 303, 303]
    with company.world.work() as work:
        assert work.db.scalar(select(func.count(User.id)).where(User.name == "bob")) == 1


def test_the_realm_of_the_last_sign_in_is_offered_first(small_company):
    browser, _ = small_company.browser("ann")
    assert form(browser.get("/signin"), "/signin")["realm"].value == "example"
    stranger = small_company.world.anonymous()
    assert form(stranger.get("/signin"), "/signin")["realm"].value == "internal"


def test_people_of_an_active_directory_sign_in_with_nested_groups(sqlite_world):
    with domain() as controller:
        controller.add(ad.person("ann"), ad.group("dev", "ann"), ad.group("staff", "dev"))
        settings = controller.settings()
        company = Company(sqlite_world, controller)
        company.make_realm(
            kind="active-directory",
            servers=f"{controller.host}:389",
            base=settings.base,
            bind_dn=settings.bind_dn,
            bind_password=settings.bind_password,
        )
        _, answer = company.browser("ann", ad.PASSWORD)
        assert answer.status_int == 303
        assert company.groups_of("ann") == {"dev", "staff"}
        assert company.browser("ann", "wrong")[1].status_int == 422
