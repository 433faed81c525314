"""The audit log: what is in it, who reads what of it, and that nobody can change it unseen."""

from __future__ import annotations

import csv
import io
import threading

import pytest
from sqlalchemy import delete, select, text, update

from ovcadmin.models import Audit, AuditSeal, Operation
from ovcadmin.models.records import Sealed
from ovcadmin.services import audit, audit_seals
from tests.functional.world import World, form


def seal(world: World) -> int:
    with world.work() as work:
        return audit_seals.seal(work)


def verify(world: World, noted: str = "") -> audit_seals.Verdict:
    with world.work() as work:
        return audit_seals.verify(work, noted)


@pytest.mark.requirement("PEER-27")
def test_every_row_is_sealed_and_the_chain_holds(world):
    world.pool("Engineering")
    assert verify(world).waiting > 0
    sealed = seal(world)
    found = verify(world)
    assert (found.sealed, found.broken, found.waiting) == (sealed, "", 0)
    world.pool("Web")
    assert seal(world) > 0
    assert verify(world, noted=found.head).broken == ""
    assert seal(world) == 0


@pytest.mark.requirement("PEER-27")
@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE id = {row}", "row {row} of the audit log, or"),
        ("UPDATE audit SET outcome = 'done ' WHERE id = {row}", "row {row} of the audit log, or"),
        ("UPDATE audit_seal SET digest = '00' WHERE audit_id = {row}", "row {row} of the audit"),
        ("DELETE FROM audit_seal WHERE audit_id = {row}", "Link {link} is missing"),
    ],
)
def test_the_first_broken_link_is_told(world, tamper, told):
    for number in range(4):
        world.pool(f"pool{number}")
    seal(world)
    with world.work() as work:
        link, row = work.db.execute(
            text("SELECT sequence, audit_id FROM audit_seal ORDER BY sequence LIMIT 1 OFFSET 2")
        ).one()
        work.db.execute(text(tamper.format(row=row)))
    found = verify(world)
    assert told.format(row=row, link=link) in found.broken
    assert found.sealed == link - 1


def test_a_chain_that_was_cut_off_is_known_by_its_noted_head(world):
    world.pool("Engineering")
    seal(world)
    head = verify(world).head
    with world.work() as work:
        work.db.execute(
            text("DELETE FROM audit_seal WHERE sequence = (SELECT max(sequence) FROM audit_seal)")
        )
        work.db.execute(text("DELETE FROM audit WHERE id NOT IN (SELECT audit_id FROM audit_seal)"))
    assert verify(world).broken == ""  # the chain alone cannot tell
    assert "cut off" in verify(world, noted=head).broken


def test_two_sealers_at_once_make_one_chain(world):
    for number in range(20):
        world.pool(f"pool{number}")
    start = threading.Barrier(3)

    def run() -> None:
        start.wait()
        for _ in range(5):
            seal(world)

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = verify(world)
    assert (found.broken, found.waiting) == ("", 0)


@pytest.mark.requirement("PEER-27")
def test_the_log_is_found_by_who_what_and_outcome(world):
    pool = world.pool("Engineering")
    admin = world.signed_in(world.admin())
    admin.send(f"/pools/new?parent={pool.id}", {"name": "Web"})
    page = admin.get("/audit?action=pool.&actor=admin")
    assert "pool.create" in page
    assert "admin@internal" in page
    assert "192.0.2.7" in page
    assert "Web" in page
    assert "user.password" not in page
    assert "Nothing in the log fits" in admin.get("/audit?object=nothing-like-that")
    assert "no day" in admin.get("/audit?since=yesterday")
    assert "pool.create" in admin.get(f"/audit?pool={pool.id}&outcome=done")
    assert "Nothing in the log fits" in admin.get(f"/audit?pool={pool.id}&outcome=refused")


def test_older_rows_are_a_page_away(world):
    admin = world.signed_in(world.admin())
    for number in range(60):
        with world.work() as work:
            audit.record(work, "test.row", "pool", number, f"row-{number:03}")
    first = admin.get("/audit?action=test.")
    assert "row-059" in first
    assert "row-009" not in first
    second = first.click("Older")
    assert "row-009" in second
    assert "row-000" in second


@pytest.mark.requirement("PEER-27")
def test_a_row_tells_who_what_from_where_before_and_after_with_which_operation(world):
    pool = world.pool("Engineering")
    world.host()
    machine = world.machine("web01", pool, image=world.image())
    admin = world.signed_in(world.admin())
    edited = form(admin.get(f"/pools/{pool.id}/edit"))
    edited["name"] = "Research"
    assert edited.submit().status_int == 303
    assert admin.send(f"/machines/{machine.id}/actions/start").status_int == 303
    told = admin.get("/audit.json?actor=admin").json["rows"]
    named = next(row for row in told if row["action"] == "pool.edit")
    assert (named["before"]["name"], named["after"]["name"]) == ("Engineering", "Research")
    started = next(row for row in told if row["action"] == "machine.start")
    assert (started["actor"], started["address"]) == ("admin@internal", "192.0.2.7")
    assert (started["object_name"], started["outcome"]) == ("web01", "accepted")
    with world.work() as work:
        assert work.db.get(Operation, started["operation_id"]).machine_id == machine.id


@pytest.mark.requirement("PEER-27")
@pytest.mark.parametrize("table", [Audit, AuditSeal])
def test_nothing_of_the_console_changes_or_removes_a_row(world, table):
    world.pool("Engineering")
    seal(world)
    changes = {Audit: {"actor": "nobody"}, AuditSeal: {"digest": "00"}}[table]

    def change(db):
        setattr(db.scalars(select(table)).first(), *next(iter(changes.items())))

    for attempt in (
        change,
        lambda db: db.delete(db.scalars(select(table)).first()),
        lambda db: db.execute(update(table).values(changes)),
        lambda db: db.execute(delete(table)),
    ):
        with pytest.raises(Sealed), world.work() as work:
            attempt(work.db)
    assert verify(world).broken == ""


@pytest.mark.requirement("PEER-27")
def test_a_file_of_the_log_runs_no_formula(world):
    admin = world.signed_in(world.admin())
    with world.work() as work:
        audit.record(work, "test.row", "pool", 1, "=cmd()", after={"name": "+evil"})
    rows = list(csv.DictReader(io.StringIO(admin.get("/audit.csv?action=test.").text)))
    assert [row["object_name"] for row in rows] == ["'=cmd()"]
    told = admin.get("/audit.json?action=test.").json["rows"]
    assert [row["object_name"] for row in told] == ["=cmd()"]
    assert told[0]["after"] == {"name": "+evil"}


def test_one_reads_what_was_done_where_one_sees_the_grants(world):
    own, other = world.pool("Engineering"), world.pool("Zanzibar")
    helga = world.user("helga", "Help Desk", own)
    with world.work() as work:
        audit.record(work, "test.row", "pool", own.id, "mine", pool_id=own.id)
        audit.record(work, "test.row", "pool", other.id, "foreign", pool_id=other.id)
        audit.record(work, "test.row", "user", 1, "everybody")
    for path in ("/audit", "/audit.json", "/audit.csv"):
        page = world.signed_in(helga).get(path)
        assert "mine" in page.text
        assert "foreign" not in page.text
        assert "everybody" not in page.text
        assert "Zanzibar" not in page.text
    assert world.signed_in(world.user("anna", "User", own)).fetch("/audit").status_int == 403
