"""Every refusal, wherever it shows, has its code and opens its article."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from ovcadmin import errors
from ovcadmin.answers import status_of
from ovcadmin.domain.states import State
from ovcadmin.models import Operation, OperationState, utcnow
from ovcadmin.services import loans, pool_limits
from tests.functional.world import form

WORDS = "Nothing was done, for a reason."


def _kinds() -> list[type[errors.DomainError]]:
    """Return one error of each code."""
    found: dict[str, type[errors.DomainError]] = {}
    waiting = [errors.DomainError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    assert set(found) == set(errors.codes())
    return [found[code] for code in sorted(found)]


KINDS = _kinds()


class Site:
    """A pool whose services refuse with what a test says."""

    def __init__(self, world) -> None:
        self.world = world
        self.pool = world.pool("Web", vcpus=2)
        self.admin = world.admin()
        self.browser, self.api = world.signed_in(self.admin), world.api(self.admin)


@pytest.fixture
def site(sqlite_world) -> Site:
    return Site(sqlite_world)


def _refuses(monkeypatch, service, name, kind) -> None:
    def refuse(*_args, **_more):
        raise kind(WORDS, **({"allow": ["GET"]} if kind is errors.MethodNotAllowed else {}))

    monkeypatch.setattr(service, name, refuse)


def _shown(page, kind) -> None:
    link = page.html.select_one(".refusal .code a")
    assert link.text == kind.code
    assert link["href"] == f"/help/errors/{kind.code}"
    assert WORDS in page.html.select_one(".refusal").text


@pytest.mark.requirement("NEW-08")
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_a_refusal_of_each_code_opens_its_article(site, monkeypatch, kind):
    status = status_of(kind("x")).value
    # above a form
    opened = form(site.browser.get(f"/pools/{site.pool.id}/quota"))
    _refuses(monkeypatch, pool_limits, "set_limits", kind)
    answer = opened.submit(expect_errors=True)
    if kind is not errors.NotSignedIn:
        assert answer.status_int == status
        _shown(answer, kind)
    # as an answer to a program
    told = site.api("PUT", f"/pools/{site.pool.id}/quota", {"vcpus": 4})
    assert (told.status_int, told.content_type) == (status, "application/problem+json")
    assert told.json["code"] == kind.code
    assert told.json["type"].endswith(f"/help/errors/{kind.code}")
    # as a page of its own
    _refuses(monkeypatch, loans, "of", kind)
    page = site.browser.fetch(f"/pools/{site.pool.id}")
    if kind is errors.NotSignedIn:
        assert "/signin" in page.headers["Location"]
    else:
        assert page.status_int == status
        _shown(page, kind)
    assert site.browser.get(f"/help/errors/{kind.code}").html.select_one("article.article")


@pytest.mark.requirement("NEW-08")
def test_an_operation_that_failed_opens_the_article_of_each_code(world):
    world.host()
    world.image()
    pool, admin = world.pool("Web"), world.admin()
    machine = world.machine("web01", pool, state=State.STOPPED)
    browser = world.signed_in(admin)
    browser.send(f"/machines/{machine.id}/actions/start")
    for kind in KINDS:
        with world.work() as work:
            number = work.db.query(Operation).order_by(Operation.id.desc()).first().id
            failed = {
                "state": OperationState.FAILED.value, "error_code": kind.code,
                "error_text": WORDS, "finished_at": utcnow(),
            }  # fmt: skip
            work.db.execute(update(Operation).where(Operation.id == number).values(**failed))
        _shown(browser.get(f"/operations/{number}"), kind)
        row = browser.get("/operations").html.select_one("main td .mono")
        assert (row.text, row["href"]) == (kind.code, f"/help/errors/{kind.code}")


def test_a_message_of_a_refusal_opens_its_article(world, monkeypatch):
    """What is done by a button in a list is refused on the page after it."""
    pool, admin = world.pool("Web", vcpus=4), world.admin()
    sibling = world.pool("Shop", vcpus=2)
    browser = world.signed_in(admin)
    day = f"{utcnow() + timedelta(days=5):%Y-%m-%d}"
    lent = world.api(admin)(
        "POST", f"/pools/{pool.id}/loans",
        {"borrower_id": sibling.id, "resource": "vcpus", "amount": 1, "until": day},
    )  # fmt: skip
    assert lent.status_int == 201, lent.text
    _refuses(monkeypatch, loans, "give_back", errors.Conflict)
    page = browser.send(f"/loans/{lent.json['id']}/return").follow()
    link = page.html.select_one(".flash.error a")
    assert (link.text, link["href"]) == ("object.conflict", "/help/errors/object.conflict")
