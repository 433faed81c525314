"""Signing in and out, as somebody at a browser does it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import func, insert, select

from ovcadmin.models import Audit, Session, SignInFailure, User, utcnow
from ovcadmin.security.headers import SESSION_COOKIE
from tests.functional.world import PASSWORD, form

REFUSED = "This user name and password do not fit together."


def sign_in(browser, name, password=PASSWORD, path="/signin"):
    entry = form(browser.get(path), "/signin")
    entry["name"], entry["password"] = name, password
    return entry.submit(expect_errors=True)


def cookie(response, name=SESSION_COOKIE):
    lines = response.headers.getall("Set-Cookie")
    return next(line for line in lines if line.startswith(f"{name}="))


def test_a_user_signs_in_where_he_wanted_to_go_and_signs_out(world, visitor):
    world.user("anna", "User")
    asked = visitor.get("/machines?state=running")
    assert asked.headers["Location"].endswith("/signin?next=%2Fmachines%3Fstate%3Drunning")

    page = sign_in(visitor, "anna", path=asked.headers["Location"]).follow()
    assert page.request.path_qs == "/machines?state=running"
    assert "anna@internal" in page

    out = form(page, "/signout").submit()
    assert out.headers["Location"].endswith("/signin")
    assert "Max-Age=0" in cookie(out)
    assert visitor.fetch("/machines").status_int == 303


def test_the_session_cookie_is_kept_from_scripts_and_foreign_pages(world, visitor):
    world.user("anna")
    plain = cookie(sign_in(visitor, "anna"))
    assert "HttpOnly" in plain
    assert "SameSite=Lax" in plain
    assert "secure" not in plain.lower()

    tls = world.anonymous(**{"wsgi.url_scheme": "https", "HTTP_HOST": "localhost"})
    assert "secure" in cookie(sign_in(tls, "anna")).lower()


@pytest.mark.parametrize(
    "name, password", [("anna", "wrong"), ("nobody", PASSWORD), ("anna", ""), ("gone", PASSWORD)]
)
def test_every_failure_gets_the_same_answer(world, visitor, name, password):
    world.user("anna")
    with world.work() as work:
        work.db.get(User, world.user("gone").id).disabled_at = utcnow()

    answer = sign_in(visitor, name, password)
    assert answer.status_int == 422
    if password:
        assert REFUSED in answer
    assert form(answer, "/signin")["name"].value == name
    assert form(answer, "/signin")["password"].value == ""
    assert visitor.fetch("/").status_int == 303


def test_names_are_the_same_in_any_case(world, visitor):
    world.user("Ánna")
    assert sign_in(visitor, "áNNA").status_int == 303


def test_a_failure_is_written_down_although_the_request_fails(world, visitor):
    world.user("anna")
    sign_in(visitor, "anna", "wrong")
    with world.work() as work:
        row = work.db.scalars(select(Audit).order_by(Audit.id.desc())).first()
    assert (row.action, row.object_name, row.outcome) == (
        "session.open",
        "anna@internal",
        "signin.failed",
    )
    assert row.address == "192.0.2.7"


def test_fault_19_guessing_one_password_is_throttled(world, visitor):
    world.user("anna")
    for _ in range(world.settings.signin_failures):
        assert sign_in(visitor, "anna", "wrong").status_int == 422

    throttled = sign_in(visitor, "anna")
    assert throttled.status_int == 429
    assert int(throttled.headers["Retry-After"]) == world.settings.signin_window_minutes * 60
    assert "Too many failed sign-ins" in throttled
    assert sign_in(visitor, "nobody", "wrong").status_int == 422

    world.user("ben")
    assert sign_in(visitor, "ben").status_int == 303


def test_fault_19_a_password_sprayed_over_many_accounts_is_throttled(world, visitor):
    allowed = world.settings.signin_failures * 10
    with world.work() as work:
        rows = [
            {"at": utcnow(), "account": f"user{number}@internal", "address": "192.0.2.7"}
            for number in range(allowed)
        ]
        work.db.execute(insert(SignInFailure), rows)
    world.user("anna")
    assert sign_in(visitor, "anna").status_int == 429
    assert sign_in(world.anonymous(REMOTE_ADDR="192.0.2.8"), "anna").status_int == 303


def test_fault_19_a_session_that_was_planted_is_not_adopted(world, visitor):
    anna, mallory = world.user("anna"), world.user("mallory")
    planted = world.signed_in(mallory).cookies[SESSION_COOKIE]
    visitor.set_cookie(SESSION_COOKIE, planted)

    sign_in(visitor, "anna")
    own = visitor.cookies[SESSION_COOKIE]
    assert own != planted
    assert "anna@internal" in visitor.get("/profile")

    thief = world.anonymous()
    thief.set_cookie(SESSION_COOKIE, planted)
    assert thief.fetch("/profile").status_int == 303
    thief.set_cookie(SESSION_COOKIE, "made-up-by-somebody")
    assert thief.fetch("/profile").status_int == 303
    assert anna.id != mallory.id


@pytest.mark.parametrize(
    "following",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/%0d%0aSet-Cookie:x=1",
        "/\r\nX-Evil: 1",
        " //evil.example",
        "/\t/evil.example",
        "///evil.example",
        "/signout",
        "/api/v1/session",
    ],
)
def test_fault_19_next_leads_nowhere_else(world, visitor, following):
    world.user("anna")
    entry = form(visitor.get("/signin"), "/signin")
    entry["name"], entry["password"], entry["next"] = "anna", PASSWORD, following
    where = entry.submit().headers["Location"]
    assert where in ("http://localhost/", "http://localhost/%0d%0aSet-Cookie:x=1")


def test_fault_19_visits_of_strangers_write_nothing(world, visitor):
    before = world.fingerprint()
    for number in range(20):
        visitor.get(f"/signin?next=/machines/{number}")
        visitor.fetch(f"/machines/{number}")
    assert world.fingerprint() == before
    with world.work() as work:
        assert work.db.scalar(select(func.count(Session.id))) == 0


def test_a_session_ends_when_it_is_idle_or_old(world):
    anna = world.user("anna")
    for field, past in (
        ("seen_at", timedelta(minutes=world.settings.session_idle_minutes, seconds=1)),
        ("expires_at", timedelta(seconds=1)),
        ("revoked_at", timedelta(0)),
    ):
        browser = world.signed_in(anna)
        assert browser.get("/profile").status_int == 200
        with world.work() as work:
            newest = work.db.scalars(select(Session).order_by(Session.id.desc())).first()
            setattr(newest, field, utcnow() - past)
        assert browser.fetch("/profile").status_int == 303


def test_a_disabled_user_is_out_at_once(world):
    anna = world.user("anna", "Super Admin")
    browser, api = world.signed_in(anna), world.api(anna)
    assert api("GET", "/session").status_int == 200
    with world.work() as work:
        work.db.get(User, anna.id).disabled_at = utcnow()
    assert browser.fetch("/profile").status_int == 303
    assert api("GET", "/session").status_int == 401


def test_a_session_is_seen_at_most_once_a_minute(world):
    anna = world.user("anna")
    browser = world.signed_in(anna)

    def seen_at():
        with world.work() as work:
            return work.db.scalars(select(Session.seen_at)).one()

    first = seen_at()
    browser.get("/profile")
    assert seen_at() == first
    with world.work() as work:
        work.db.scalars(select(Session)).one().seen_at = first - timedelta(minutes=2)
    browser.get("/profile")
    assert seen_at() >= first


def test_scripts_in_a_page_are_sent_to_sign_in_and_come_back(world, visitor):
    answer = visitor.fetch(
        "/machines/fragments/rows",
        headers={"HX-Request": "true", "HX-Current-URL": "http://localhost/machines?q=web"},
    )
    assert answer.status_int == 401
    assert answer.headers["HX-Redirect"] == "/signin?next=%2Fmachines%3Fq%3Dweb"


@pytest.mark.requirement("OVC-14", "OVC-28", "OVC-30")
def test_nobody_can_make_an_account(world, visitor):
    page = visitor.get("/signin")
    visible = [field for field in form(page, "/signin").fields if field not in ("next", None)]
    assert set(visible) <= {"name", "password", "realm"}
    for path in ("/signup", "/register", "/api/v1/register", "/api/v1/validate"):
        assert visitor.fetch(path).status_int == 404
        assert visitor.send(path, {"name": "x"}).status_int == 404
    before = world.fingerprint()["user_account"]
    assert visitor.fetch("/api/v1/users").status_int == 401
    assert visitor.send("/api/v1/users", {"name": "x"}).status_int in (401, 405)
    assert visitor.fetch("/users/new").status_int == 303
    assert visitor.send("/users/new", {"name": "x", "password": PASSWORD}).status_int in (303, 401)
    assert world.fingerprint()["user_account"] == before
