"""Guided tutorials that mark what was done, and buttons in articles."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from ovcadmin.domain.states import TABLE, State
from ovcadmin.engine import types
from ovcadmin.models import Operation
from ovcadmin.services import audit, knowledge, knowledge_search, markdown, steps, view_as
from tests.functional.world import World, form

TOUR = "/tutorials/tutorials/first-linux-machine"
BUTTONS = {
    (found[1], found[2])
    for article in knowledge.shipped().values()
    for found in steps.MARK.finditer(article.text.body)
}
"""Kind and name of every step that a shipped article has."""


class Learner:
    def __init__(self, world: World) -> None:
        self.world = world
        self.pool = world.pool("Web")
        world.host()
        self.image = world.image()
        self.anna = world.user("anna", "User", self.pool)
        self.browser = world.signed_in(self.anna)
        with world.work() as work:
            knowledge_search.refresh(work)

    def machine(self, name: str, state: State = State.STOPPED):
        return self.world.machine(name, self.pool, owner=self.anna, image=self.image, state=state)

    def marks(self) -> list[str]:
        page = self.browser.get(TOUR)
        return [mark["aria-label"] for mark in page.html.select(".tour .tick")]


@pytest.fixture
def learner(world) -> Learner:
    return Learner(world)


@pytest.mark.requirement("NEW-12")
def test_a_tutorial_marks_what_its_reader_has_done_since_he_began(learner):
    learner.machine("older")
    assert set(learner.marks()) == {"not done yet"}
    begun = form(learner.browser.get(TOUR)).submit()
    assert "It follows you now" in begun.follow()
    assert learner.marks()[:2] == ["next", "not done yet"]
    machine = learner.machine("first")
    assert learner.marks()[:2] == ["done", "next"]
    page = learner.browser.get(TOUR)
    assert page.html.select_one(f'.facts a[href="/machines/{machine.id}"]')
    with learner.world.work(learner.anna) as work:
        audit.record(work, "console.open", "machine", machine.id, "first", pool_id=learner.pool.id)
    assert learner.marks()[2] == "done"
    # What others do, and what is done to other machines, marks nothing.
    other = learner.world.user("otto", "User", learner.pool)
    strange = learner.browser
    learner.browser = learner.world.signed_in(other)
    assert set(learner.marks()) == {"not done yet"}
    learner.browser = strange
    assert form(learner.browser.get(TOUR)).submit().status_int == 303
    assert learner.marks()[0] == "next"


def test_the_list_says_how_far_one_is(learner):
    page = learner.browser.get("/tutorials")
    titles = [heading.text for heading in page.html.select(".shelves h2")]
    assert "Your first Linux machine" in titles
    assert "not begun" in page
    form(learner.browser.get(TOUR)).submit()
    learner.machine("first")
    assert "1 of 7 done" in learner.browser.get("/tutorials")
    assert learner.browser.fetch("/tutorials/tutorials/network").status_int == 404
    article = learner.browser.get("/knowledge/tutorials/first-linux-machine")
    assert article.html.select_one(f'a[href="{TOUR}"]')
    assert "○" not in article
    assert "\ue000" not in article


@pytest.mark.requirement("NEW-08")
def test_a_button_of_an_article_asks_and_then_acts_with_the_readers_rights(learner):
    machine = learner.machine("web01")
    article = learner.browser.get("/knowledge/tutorials/console")
    button = article.html.select_one('.article a[href^="/do/machine.start"]')
    assert button.text == "Start it"
    asked = learner.browser.get(button["href"])
    with learner.world.work() as work:
        assert not work.db.scalars(select(Operation).where(Operation.type == "machine.start")).all()
    done = form(asked).submit()
    assert done.headers["Location"].endswith("/knowledge/tutorials/console")
    with learner.world.work() as work:
        started = work.db.scalars(select(Operation).where(Operation.type == "machine.start")).one()
        assert (started.machine_id, started.user_id) == (machine.id, learner.anna.id)
    # It is queued to start: it can be started no more.
    assert "You have no machine" in learner.browser.get("/do/machine.start")


@pytest.mark.requirement("NEW-08")
def test_every_button_of_the_shipped_articles_does_what_it_says(sqlite_world):
    learner = Learner(sqlite_world)
    owner = sqlite_world.user("olga", "Super Admin", learner.pool)
    sqlite_world.pool("Shop", learner.pool)
    browser = sqlite_world.signed_in(owner)
    for name in sorted(name for kind, name in BUTTONS if kind == "do"):
        deed = steps.DEEDS[name]
        state = min(TABLE[deed.action].sources)
        machine = sqlite_world.machine(
            name, learner.pool, owner=owner, image=learner.image, state=state
        )
        asked = browser.get(f"/do/{name}?machine={machine.id}")
        assert asked.html.select_one("form button.primary").text == TABLE[deed.action].label
        assert form(asked).submit().status_int == 303
        with sqlite_world.work() as work:
            last = work.db.scalars(select(Operation).order_by(Operation.id.desc())).first()
            assert (last.type, last.machine_id, last.user_id) == (name, machine.id, owner.id)
    for name in sorted(name for kind, name in BUTTONS if kind == "go"):
        answer = browser.get(f"/go/{name}")
        if answer.status_int == 303:
            leads = [answer.headers["Location"]]
        else:
            leads = [link["href"] for link in answer.html.select("main .articles a")]
        assert leads, name
        for address in leads:
            assert browser.fetch(address).status_int == 200, address


@pytest.mark.requirement("NEW-08")
def test_a_button_does_nothing_that_its_reader_may_not(learner):
    hidden = learner.world.pool("Zanzibar")
    other = learner.world.machine("Zanzibar-db", hidden, image=learner.image)
    own = learner.machine("web01")
    watcher = learner.world.signed_in(learner.world.user("mona", "Monitor", learner.pool))
    assert "You have no machine" in watcher.get("/do/machine.start")
    for browser, number in ((watcher, own.id), (learner.browser, other.id)):
        answer = browser.send("/do/machine.start", {"machine": number})
        assert answer.status_int == 422
        assert "Zanzibar" not in answer
    assert learner.browser.fetch(f"/do/machine.start?machine={other.id}").status_int == 404
    assert learner.browser.fetch("/do/machine.delete").status_int == 404
    assert learner.browser.fetch("/go/nowhere").status_int == 404
    boss = learner.world.user("hugo", "Help Desk")
    browser = learner.world.signed_in(boss)
    browser.send(f"/users/{learner.anna.id}/view-as", {"reason": "call"})
    looked = browser.send("/do/machine.start", {"machine": own.id})
    assert looked.status_int == 403
    assert view_as.LONGEST
    with learner.world.work() as work:
        assert not work.db.scalars(select(Operation).where(Operation.type == "machine.start")).all()


def test_a_refusal_leads_to_an_article_that_knows_the_machine(learner):
    machine = learner.machine("web01")
    refused = learner.browser.send(f"/machines/{machine.id}/actions/suspend")
    link = refused.html.select_one(".refusal .code a")["href"]
    assert link == f"/help/errors/machine.state?machine={machine.id}"
    article = learner.browser.get(link)
    way = article.html.select_one('.article a[href^="/go/machine"]')["href"]
    assert learner.browser.get(way).headers["Location"].endswith(f"/machines/{machine.id}")


def test_ways_lead_to_ones_own_things(learner):
    answer = learner.browser.get("/go/machine.new")
    assert answer.headers["Location"].endswith(f"/machines/new?pool={learner.pool.id}")
    assert "There is no machine that fits" in learner.browser.get("/go/machine.console")
    for name in ("a", "b"):
        learner.machine(name)
    page = learner.browser.get("/go/machine.console?back=https://evil.example/")
    assert [link.text for link in page.html.select(".articles a")] == ["b", "a"]
    assert "evil" not in page.html.select_one("main").decode()
    assert learner.browser.get("/go/tokens").headers["Location"].endswith("/profile")
    # A quota is set from above: nobody is led to that of his own pool.
    assert "There is no pool that fits" in learner.browser.get("/go/pool.quota")
    owner = learner.world.user("olga", "Administrator", learner.pool)
    below = learner.world.pool("Shop", learner.pool)
    led = learner.world.signed_in(owner).get("/go/pool.quota").headers["Location"]
    assert led.endswith(f"/pools/{below.id}/quota")


@pytest.mark.parametrize("key", sorted(knowledge.shipped()), ids="/".join)
def test_every_step_of_a_shipped_article_is_declared(key):
    article = knowledge.shipped()[key]
    plain = markdown.render(article.text.body.replace("`", "")).html
    assert not [found for found in steps.MARK.finditer(plain) if key != ("help-desk", "editing")]
    known = {kind.name for kind in types.every()}
    for tick in article.rendered.ticks:
        assert tick.what in (known if tick.kind == "done" else steps.DID), tick


def test_words_of_a_heading_and_of_the_block_below_it_stay_apart():
    made = markdown.render("## The server, once\n\n```\napt install wireguard\n```\nThen go on.")
    assert made.words == "The server, once apt install wireguard Then go on."


def test_words_that_are_no_step_stay_text():
    text = (
        "{do machine.delete} {do rm} {go //evil} `{do machine.start}` {tick did user.delete} \ue000"
    )
    made = markdown.render(text)
    assert made.links == ()
    assert made.ticks == ()
    assert "{do machine.delete} {do rm} {go //evil}" in made.html
    assert "<code>{do machine.start}</code>" in made.html
    assert "\ue000" not in made.marked
