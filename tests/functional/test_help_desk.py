"""The help desk's page: finding what a call is about, notes, and cases that are handed over."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from ovcadmin.domain.states import Action
from ovcadmin.drivers.hypervisor.base import Lease
from ovcadmin.models import (
    Audit,
    GuestAddress,
    HelpCase,
    Host,
    Image,
    Machine,
    Nic,
    Note,
    Pool,
    StoragePool,
)
from ovcadmin.services import audit, guest_addresses, machines, operations
from ovcadmin.work import Actor, Work
from tests.functional.world import World, form

SECRET = "Zanzibar"


class Call:
    """Anna's machine, a help desk of her pool, and one of everything that it must not see."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pool, self.other = world.pool("Engineering"), world.pool(SECRET)
        world.host()
        image = world.image()
        self.anna = world.user("anna", "User", self.pool)
        self.boss = world.user("boss", "Administrator", self.pool)
        self.helga = world.user("helga", "Help Desk", self.pool)
        self.machine = world.machine("web01", self.pool, image=image, owner=self.anna)
        self.hidden = world.machine(f"{SECRET}-db", self.other, image=image)
        with world.work(self.anna) as work:
            self.started = machines.act(work, machines.get(work, self.machine.id), Action.START).id
            audit.record(
                work, "machine.delete", "machine", self.machine.id, "web01",
                pool_id=self.pool.id, outcome="machine.state",
            )  # fmt: skip
        with world.database.writing() as session:
            actor = Actor(
                user_id=self.anna.id, name="anna@internal", door="page", address="10.1.2.3"
            )
            work = Work(db=session, actor=actor, settings=world.settings, request_id="f" * 32)
            audit.record(work, "session.open", "user", self.anna.id, "anna", pool_id=self.pool.id)
        self.desk = world.signed_in(self.helga)

    def mac(self, machine: Machine) -> str:
        with self.world.work() as work:
            return work.db.scalars(select(Nic.mac).where(Nic.machine_id == machine.id)).one()

    def find(self, question: str):
        return self.desk.get("/help-desk", {"q": question})


@pytest.fixture
def call(world) -> Call:
    return Call(world)


def links(page) -> set[str]:
    return {link["href"] for link in page.html.select("main a")}


def test_one_box_finds_person_machine_address_pool_and_operation(call):
    sheet = f"/help-desk/machines/{call.machine.id}"
    mac = call.mac(call.machine)
    assert f"/help-desk/people/{call.anna.id}" in links(call.find("anna"))
    assert f"/help-desk/people/{call.anna.id}" in links(call.find("anna@internal"))
    for typed in ("web01", "WEB", mac, mac.replace(":", "-").upper(), mac.replace(":", ""),
                  mac[-8:], call.machine.uuid):  # fmt: skip
        assert sheet in links(call.find(typed)), typed
    assert f"/help-desk/pools/{call.pool.id}" in links(call.find("engin"))
    assert f"/operations/{call.started}" in links(call.find(f"#{call.started}"))
    assert f"/operations/{call.started}" in links(call.find("start web01"))
    assert "session.open" in call.find("10.1.2.3").text
    assert "session.open" in call.find("f" * 32).text
    assert "/help/errors/machine.state" in links(call.find("machine.state"))


def _leased(call: Call, machine: Machine, address: str) -> None:
    """What a worker learned of its host's network."""
    leases = [
        Lease(mac=call.mac(machine), address=address, network="lan"),
        Lease(mac="52:54:00:99:99:99", address=address, network="lan"),
    ]
    with call.world.work() as work:
        host = work.db.scalars(select(Host)).one()
        guest_addresses.seen(work, host.id, leases)
        guest_addresses.seen(work, host.id, leases[:1])
        assert work.db.scalars(select(GuestAddress)).one().address == address


def test_a_machine_is_found_by_the_address_that_it_was_seen_with(call):
    _leased(call, call.machine, "192.168.7.11")
    found = call.find("192.168.7.11")
    assert f"/help-desk/machines/{call.machine.id}" in links(found)
    sheet = call.desk.get(f"/help-desk/machines/{call.machine.id}")
    assert "192.168.7.11" in sheet.html.select_one(".facts").text
    anna = call.world.signed_in(call.anna)
    shown = anna.get(f"/machines/{call.machine.id}").html.select_one("main").text
    assert "192.168.7.11 by lan, seen" in " ".join(shown.split())
    assert "Nothing fits" in call.find("192.168.7.12")


def test_the_address_of_a_hidden_machine_is_not_found(call):
    _leased(call, call.hidden, "192.168.7.12")
    assert "Nothing fits" in call.find("192.168.7.12")


def test_what_the_desk_may_not_see_is_not_found(call):
    hidden = call.hidden
    for typed in (SECRET, hidden.uuid, call.mac(hidden), f"{SECRET}-db"):
        page = call.find(typed)
        assert "Nothing fits" in page, typed
        assert not {link for link in links(page) if link.startswith("/help-desk/")}
    for path in (
        f"/help-desk/machines/{hidden.id}",
        f"/help-desk/pools/{call.other.id}",
        f"/machines/{hidden.id}/notes",
        f"/machines/{hidden.id}/hand-over",
    ):
        assert call.desk.fetch(path).status_int == 404
    anna = call.world.signed_in(call.anna)
    assert anna.fetch("/help-desk").status_int == 403
    assert anna.fetch(f"/help-desk/machines/{call.machine.id}").status_int == 403


def test_a_sheet_shows_state_operations_refusals_rights_and_leads_to_view_as(call):
    root_desk = call.world.signed_in(call.world.user("hugo", "Help Desk"))
    page = root_desk.get(f"/help-desk/machines/{call.machine.id}", {"caller": "anna"})
    assert page.html.select_one(".title .badge").text.strip().startswith("starting")
    assert f"/operations/{call.started}" in links(page)
    assert "/help/errors/machine.state" in links(page)
    assert "User on /Cloud/Engineering by a grant on this pool" in page
    assert "control machines" in page.text.split("May:")[1].split("May not:")[0]
    assert "set grants" in page.text.split("May not:")[1]
    assert f"/users/{call.anna.id}/view-as" in links(page)
    # Of a pool only: he may not view as somebody.
    own = call.desk.get(f"/help-desk/machines/{call.machine.id}", {"person": call.anna.id})
    assert "User on /Engineering by a grant on this pool" in own
    assert f"/users/{call.anna.id}/view-as" not in links(own)
    person = call.desk.get(f"/help-desk/people/{call.anna.id}")
    assert f"/help-desk/machines/{call.machine.id}" in links(person)
    assert "machine.state" in person


def test_a_caller_who_may_be_two_people_is_chosen(call):
    call.world.user("annabel")
    page = call.desk.get(f"/help-desk/machines/{call.machine.id}", {"caller": "ann"})
    assert f"?person={call.anna.id}" in links(page)
    assert "Nobody fits" in call.desk.get(f"/help-desk/pools/{call.pool.id}", {"caller": "xyz"})


def _note(call: Call, text: str, readers: str):
    asked = form(call.desk.get(f"/machines/{call.machine.id}/notes"))
    asked["text"], asked["readers"] = text, readers
    return asked.submit(expect_errors=True)


def test_notes_are_read_by_whom_they_are_for(call):
    machine = f"/machines/{call.machine.id}"
    assert "Write something" in _note(call, "   ", "staff")
    assert "is kept" in _note(call, "Do not trust <b>this</b> disk", "staff").follow()
    assert "is kept" in _note(call, "Moves on Friday", "users").follow()
    anna = call.world.signed_in(call.anna)
    assert "Moves on Friday" in anna.get(machine)
    assert "Do not trust" not in anna.get(machine)
    staff = call.desk.get(machine)
    assert "Do not trust &lt;b&gt;this&lt;/b&gt; disk" in staff
    assert "help desk only" in staff
    with call.world.work() as work:
        kept = {note.for_users: note.id for note in work.db.scalars(select(Note))}
    assert anna.send(f"/notes/{kept[True]}/remove").status_int == 404
    assert call.desk.send(f"/notes/{kept[True]}/remove").status_int == 303
    assert "Moves on Friday" not in anna.get(machine)
    with call.world.work() as work:
        told = work.db.scalars(select(Audit).where(Audit.action == "note.remove")).one()
    assert told.before["text"] == "Moves on Friday"


def _kept(client, path: str, text: str, readers: str):
    asked = form(client.get(f"{path}/notes"))
    asked["text"], asked["readers"] = text, readers
    return asked.submit().follow()


def test_storage_and_images_have_notes_as_machines_do(call):
    with call.world.work() as work:
        store = work.db.scalars(select(StoragePool)).first()
        image = work.db.scalars(select(Image)).first()
        root = work.db.scalars(select(Pool).where(Pool.parent_id.is_(None))).one()
        paths = {"storage_pool": f"/storage/{store.id}", "image": f"/images/{image.id}"}
    chief = call.world.signed_in(call.world.user("chief", "Super Admin", root))
    looker = call.world.signed_in(call.world.user("looker", "Monitor", root))
    for path in paths.values():
        assert "Full on Monday" in _kept(chief, path, "Full on Monday", "users")
        assert "Ask Bert first" in _kept(chief, path, "Ask Bert first", "staff")
        shown = looker.get(path)
        assert "Full on Monday" in shown
        assert "Ask Bert first" not in shown
        assert looker.fetch(f"{path}/notes").status_int == 403
    anna = call.world.signed_in(call.anna)
    assert "Full on Monday" in anna.get(paths["image"])
    with call.world.work() as work:
        note = work.db.scalars(select(Note.id).where(Note.kind == "image")).first()
    taken = form(chief.get(paths["image"]), f"/notes/{note}/remove").submit()
    assert taken.headers["Location"].endswith(paths["image"])


def test_notes_on_people_are_for_the_desk_of_the_cloud_and_for_himself(call):
    with call.world.work() as work:
        root = work.db.scalars(select(Pool).where(Pool.parent_id.is_(None))).one()
    desk = call.world.signed_in(call.world.user("desk", "Help Desk", root))
    path = f"/users/{call.anna.id}"
    assert "Calls every Friday" in _kept(desk, path, "Calls every Friday", "staff")
    assert "Your laptop is ready" in _kept(desk, path, "Your laptop is ready", "users")
    mine = call.world.signed_in(call.anna).get("/profile")
    assert "Your laptop is ready" in mine
    assert "Calls every Friday" not in mine
    # The desk of a pool below sees the account, and nothing that the desk of the cloud wrote.
    assert "laptop" not in call.desk.get(path)
    assert "laptop" not in call.desk.get(f"/help-desk/people/{call.anna.id}")
    assert call.desk.fetch(f"{path}/notes").status_int == 403
    helga = call.world.api(call.helga)
    assert helga("GET", f"/notes?kind=user&object={call.anna.id}").status_int == 404
    anna = call.world.api(call.anna)
    told = anna("GET", f"/notes?kind=user&object={call.anna.id}").json["items"]
    assert [one["text"] for one in told] == ["Your laptop is ready"]


def _hand_over(call: Call, to) -> str:
    page = call.desk.get(f"/machines/{call.machine.id}/hand-over?person={call.anna.id}")
    asked = form(page)
    asked["owner"], asked["operation"] = str(to.id), str(call.started)
    asked["text"] = "She cannot start it.\nI told her to wait."
    done = asked.submit()
    assert done.status_int == 303
    return done.headers["Location"]


def test_a_case_is_handed_to_an_owner_by_a_link_that_carries_the_context(call):
    path = _hand_over(call, call.boss)
    boss = call.world.signed_in(call.boss)
    assert boss.get("/").html.select_one('#nav a[href="/help"] .count').text == "1"
    assert path.endswith(boss.get("/cases").html.select_one("td.name a")["href"])
    page = boss.get(path)
    assert "She cannot start it." in page
    assert "caller anna" in page
    assert f"/operations/{call.started}" in links(page)
    assert f"/machines/{call.machine.id}" in links(page)
    for stranger in (call.anna, call.world.user("otto", "User", call.other)):
        assert call.world.signed_in(stranger).fetch(path).status_int == 404
    assert form(page).submit(expect_errors=True).status_int == 422
    answer = form(boss.get(path))
    answer["answer"] = "The host was full; it runs now."
    assert "it runs now" in answer.submit().follow()
    assert "it runs now" in call.desk.get(path)
    assert boss.get("/").html.select_one('#nav a[href="/help"] .count') is None
    again = boss.send(path, {"answer": "once more"})
    assert again.status_int == 409


def test_an_owner_without_rights_sees_what_was_told_to_him_and_no_more(call):
    path = _hand_over(call, call.anna)
    with call.world.work() as work:
        row = work.db.get(Machine, call.machine.id)
        row.pool_id, row.name = call.other.id, "web01"
    page = call.world.signed_in(call.anna).get(path)
    assert "She cannot start it." in page
    assert "You may not see the machine itself" in page
    assert f"/machines/{call.machine.id}" not in links(page)
    assert SECRET not in page


def test_a_case_goes_to_an_owner_only(call):
    path = f"/machines/{call.machine.id}/hand-over"
    answer = call.desk.send(path, {"owner": call.helga.id, "operation": "", "text": "x"})
    assert answer.status_int == 422
    with call.world.work() as work:
        assert work.db.scalar(select(HelpCase.id)) is None
        assert operations.get(work, call.started)


def test_programs_do_the_same(call):
    helga, anna = call.world.api(call.helga), call.world.api(call.anna)
    found = helga("GET", "/help-desk?q=web01").json["items"]
    assert ("machine", call.machine.id) in [(one["kind"], one["id"]) for one in found]
    assert helga("GET", f"/help-desk?q={SECRET}").json["items"] == []
    assert anna("GET", "/help-desk?q=web01").status_int == 403
    note = {"kind": "machine", "object": call.machine.id, "text": "Moves", "for_users": True}
    made = helga("POST", "/notes", note).json
    query = f"/notes?kind=machine&object={call.machine.id}"
    assert [one["text"] for one in anna("GET", query).json["items"]] == ["Moves"]
    assert anna("POST", "/notes", note).status_int == 403
    hidden = {**note, "object": call.hidden.id}
    assert helga("POST", "/notes", hidden).status_int == 404
    assert anna("DELETE", f"/notes/{made['id']}").status_int == 404
    assert helga("DELETE", f"/notes/{made['id']}").status_int == 204
    wanted = {
        "kind": "machine",
        "object": call.machine.id,
        "text": "Full",
        "owner_id": call.boss.id,
    }
    case = helga("POST", "/cases", {**wanted, "operation_id": call.started}).json
    boss = call.world.api(call.boss)
    assert [one["id"] for one in boss("GET", "/cases").json["items"]] == [case["id"]]
    assert anna("GET", f"/cases/{case['id']}").status_int == 404
    assert boss("POST", f"/cases/{case['id']}/close", {"answer": "Done"}).json["answer"] == "Done"
