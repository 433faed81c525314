"""The second factor, with an authenticator app of the test's own."""

from __future__ import annotations

import base64
import re
import time

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from sqlalchemy import select, update

from ovcadmin.models import RecoveryCode, Role, SecondFactor
from tests.functional.directory import Company
from tests.functional.test_sign_in import sign_in
from tests.functional.world import form
from tests.rig.slapd import slapd

STEP = 30


class App:
    """Reads the secret off a page; each code is a later one than the last."""

    def __init__(self, page) -> None:
        secret = re.search(r"Secret: <code>([A-Z2-7 ]+)</code>", page.text)[1].replace(" ", "")
        assert "<svg" in page.text
        self._totp = TOTP(base64.b32decode(secret), 6, SHA1(), STEP, enforce_key_length=False)

    def code(self, steps: int = 0) -> str:
        return self._totp.generate(int(time.time()) + steps * STEP).decode()

    @property
    def wrong(self) -> str:
        return f"{(int(self.code()) + 1) % 10**6:06}"


def forget_the_last_code(world) -> None:
    """Let the next half minute begin."""
    with world.work() as work:
        work.db.execute(update(SecondFactor).values(last_step=0))


def set_up(browser) -> tuple[App, list[str]]:
    page = form(browser.get("/profile/second-factor")).submit()
    app = App(page)
    shown = form(page)
    shown["code"] = app.code()
    done = shown.submit()
    codes = re.findall(r"<code>([A-Z2-7]{4}(?:-[A-Z2-7]{4}){3})</code>", done.text)
    assert len(codes) == 10
    return app, codes


def second_page(browser, name="anna"):
    page = sign_in(browser, name)
    assert page.status_int == 200
    assert "ovc_session" not in browser.cookies
    return page


def answer(page, code):
    shown = form(page, "/signin/code")
    shown["code"] = code
    return shown.submit(expect_errors=True)


def test_a_second_factor_is_set_up_and_asked_for(world, visitor):
    anna = world.user("anna", "User")
    app, _ = set_up(world.signed_in(anna))
    forget_the_last_code(world)

    page = second_page(visitor)
    assert answer(page, app.wrong).status_int == 422
    assert visitor.fetch("/profile").status_int == 303
    assert answer(page, app.code()).status_int == 303
    assert "anna@internal" in visitor.get("/profile")


@pytest.mark.requirement("PEER-05")
def test_a_code_is_taken_once(world, visitor):
    anna = world.user("anna", "User")
    app, _ = set_up(world.signed_in(anna))
    code = app.code()
    page = second_page(visitor)
    assert answer(page, code).status_int == 422, "it confirmed the second factor just now"
    forget_the_last_code(world)
    assert answer(page, code).status_int == 303
    assert answer(second_page(world.anonymous()), code).status_int == 422
    assert answer(second_page(world.anonymous()), app.code(+3)).status_int == 422


@pytest.mark.requirement("PEER-05")
def test_a_recovery_code_signs_in_once_and_is_stored_hashed(world, visitor):
    anna = world.user("anna", "User")
    browser = world.signed_in(anna)
    _, codes = set_up(browser)
    with world.work() as work:
        stored = " ".join(work.db.scalars(select(RecoveryCode.key_hash)))
        sealed = work.db.scalars(select(SecondFactor.sealed_secret)).one()
    assert codes[0] not in stored
    assert codes[0].replace("-", "") not in stored
    assert sealed.startswith("gAAAA")
    assert answer(second_page(visitor), codes[0].lower()).status_int == 303
    assert answer(second_page(world.anonymous()), codes[0]).status_int == 422
    assert "9 recovery codes left" in browser.get("/profile/second-factor")


def test_guessing_codes_is_throttled_and_the_first_factor_alone_resets_nothing(world, visitor):
    anna = world.user("anna", "User")
    app, _ = set_up(world.signed_in(anna))
    forget_the_last_code(world)
    for _ in range(world.settings.signin_failures):
        assert answer(second_page(visitor), app.wrong).status_int == 422
    assert sign_in(visitor, "anna").status_int == 429


@pytest.mark.requirement("PEER-05")
def test_a_role_can_ask_for_it_and_it_is_set_up_at_sign_in(world, visitor):
    with world.work() as work:
        work.db.execute(update(Role).where(Role.name == "User").values(second_factor=True))
    anna = world.user("anna", "User")
    page = second_page(visitor)
    assert "Your role asks for a second factor" in page
    app = App(page)
    again = answer(page, app.wrong)
    assert again.status_int == 422
    assert App(again).code() == app.code(), "the same picture is shown again"
    shown = answer(again, app.code())
    assert "Recovery codes" in shown
    assert "anna@internal" in visitor.get("/profile")
    page = visitor.get("/profile/second-factor")
    assert "a role that you hold asks for it" in page
    assert "Remove the second factor" not in page
    assert anna.id


def test_it_is_removed_by_a_code_or_by_an_administrator(world, visitor):
    anna = world.user("anna", "User")
    browser = world.signed_in(anna)
    app, _ = set_up(browser)
    forget_the_last_code(world)
    shown = form(browser.get("/profile/second-factor"), "/profile/second-factor/remove")
    shown["code"] = app.wrong
    refused = shown.submit(expect_errors=True)
    assert refused.status_int == 422
    shown = form(refused, "/profile/second-factor/remove")
    shown["code"] = app.code()
    assert "is removed" in shown.submit().follow()
    assert sign_in(visitor, "anna").status_int == 303

    set_up(browser)
    admin = world.signed_in(world.admin())
    path = f"/users/{anna.id}"
    assert "is removed" in form(admin.get(path), f"{path}/second-factor").submit().follow()
    assert sign_in(world.anonymous(), "anna").status_int == 303


@pytest.mark.parametrize("half_way", ["", "made-up", "gAAAAA"])
def test_the_second_step_alone_signs_nobody_in(world, visitor, half_way):
    world.user("anna", "User")
    fields = {"half_way": half_way, "code": "123456", "next": "/"}
    assert visitor.send("/signin/code", fields).status_int == 422
    assert visitor.fetch("/profile").status_int == 303


@pytest.mark.requirement("PEER-05")
def test_users_of_a_directory_have_it_too(sqlite_world):
    with slapd() as server:
        company = Company(sqlite_world, server)
        company.make_realm()
        browser, _ = company.browser("ann")
        browser.csrf_token = ""
        app, _ = set_up(browser)
        forget_the_last_code(sqlite_world)
        other, page = company.browser("ann")
        assert page.status_int == 200
        assert answer(page, app.code()).status_int == 303
        assert "ann@example" in other.get("/profile")


@pytest.mark.requirement("PEER-05")
def test_a_role_that_begins_to_ask_for_it_counts_for_who_is_signed_in(world, visitor):
    anna, ben = world.user("anna", "User"), world.user("ben", "User")
    without, having = world.signed_in(anna), world.signed_in(ben)
    set_up(having)
    admin = world.signed_in(world.admin())
    with world.work() as work:
        role = work.db.scalars(select(Role).where(Role.name == "User")).one()
    shown = form(admin.get(f"/roles/{role.id}/edit"))
    shown["second_factor"] = "yes"
    assert shown.submit().status_int == 303
    assert having.fetch("/machines").status_int == 200
    assert admin.fetch("/machines").status_int == 200
    asked = without.fetch("/machines")
    assert asked.status_int == 303
    assert "/signin" in asked.headers["Location"]
    page = second_page(visitor)
    assert "Your role asks for a second factor" in page
    # Whoever is given such a role while signed in is asked as well.
    carl = world.user("carl")
    browser = world.signed_in(carl)
    assert browser.fetch("/profile").status_int == 200
    world.grant(carl, "User", world.root())
    assert browser.fetch("/profile").status_int == 303
