"""When something fails that is not the user's fault: what he sees, what is kept, what is logged."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, text

from ovcadmin.services import pools
from tests.functional.world import PASSWORD, form


def _names(world):
    with world.work() as work:
        return [node.pool.name for node in pools.tree(work)]


def _create(world, browser, name):
    return browser.send(f"/pools/new?parent={world.root().id}", {"name": name})


@pytest.mark.parametrize("world", ["postgresql"], indirect=True)
@pytest.mark.parametrize("failures, status", [(2, 303), (3, 503)])
def test_a_lost_race_in_the_database_is_run_again(world, failures, status):
    """The first attempts end as PostgreSQL ends them when two transactions cannot both commit."""
    browser = world.signed_in(world.user("anna", "Super Admin"))
    with world.database.write.begin() as connection:
        for statement in (
            "CREATE SEQUENCE attempts",
            f"""CREATE FUNCTION fail() RETURNS trigger AS $$ BEGIN
                IF nextval('attempts') <= {failures} THEN
                    RAISE 'could not serialize access' USING ERRCODE = '40001';
                END IF; RETURN NEW; END $$ LANGUAGE plpgsql""",
            "CREATE TRIGGER fail BEFORE INSERT ON pool FOR EACH ROW EXECUTE FUNCTION fail()",
        ):
            connection.execute(text(statement))
    try:
        assert _create(world, browser, "Web").status_int == status
        assert _names(world) == (["Cloud", "Web"] if status == 303 else ["Cloud"])
    finally:
        with world.database.write.begin() as connection:
            connection.execute(text("DROP FUNCTION fail CASCADE"))
            connection.execute(text("DROP SEQUENCE attempts"))


def test_a_database_that_is_gone_has_its_own_page(sqlite_world, tmp_path):
    app = sqlite_world.app_with(database_url=f"sqlite:///{tmp_path}/none/gone.db")
    browser = type(sqlite_world.anonymous())(app)
    browser.set_cookie("ovc_session", "x")
    for path in ("/", "/machines", "/signin"):
        page = browser.fetch(path)
        assert page.status_int == 503
        assert "The console's database does not answer" in page.html.get_text()
        assert page.headers["Content-Security-Policy"]
    answer = browser.fetch("/api/v1/session")
    assert (answer.status_int, answer.json["code"]) == (503, "database.unavailable")
    assert browser.fetch("/help/errors/database.unavailable").status_int in (200, 503)


@contextmanager
def full(world):
    """A database without room: SQLite may take no further page, PostgreSQL says what it says."""
    if world.database.is_sqlite:

        def bound(connection):
            connection.exec_driver_sql("PRAGMA max_page_count = 1")  # never less than it has

        event.listen(Engine, "begin", bound)
        try:
            yield
        finally:
            event.remove(Engine, "begin", bound)
            event.listen(Engine, "begin", _unbound)
        return
    with world.database.write.begin() as connection:
        for statement in (
            """CREATE FUNCTION no_room() RETURNS trigger AS $$ BEGIN
                RAISE 'could not extend file' USING ERRCODE = '53100'; END $$ LANGUAGE plpgsql""",
            "CREATE TRIGGER no_room BEFORE INSERT ON pool FOR EACH ROW EXECUTE FUNCTION no_room()",
        ):
            connection.execute(text(statement))
    try:
        yield
    finally:
        with world.database.write.begin() as connection:
            connection.execute(text("DROP FUNCTION no_room CASCADE"))


def _unbound(connection):
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA max_page_count = 1073741823")


def test_fault_39_a_full_disk_has_its_own_page_and_code_and_changes_nothing(world):
    browser, api = world.signed_in(world.admin()), world.api(world.admin())
    long = "x" * 2000
    made = []
    with full(world):
        for number in range(400):  # room that is left inside the file is used first
            fields = {"name": f"Web{number}", "description": long}
            page = browser.send(f"/pools/new?parent={world.root().id}", fields)
            if page.status_int != 303:
                break
            made.append(fields["name"])
        assert page.status_int == 503
        assert "The disk of the console's database is full" in page.html.get_text()
        body = {"name": "More", "description": long}
        answer = api("POST", f"/pools/{world.root().id}/pools", body)
        assert (answer.status_int, answer.json["code"]) == (503, "database.full")
        assert browser.get("/pools").status_int == 200
    assert sorted(_names(world)) == sorted(["Cloud", *made])
    assert _create(world, browser, "Later").status_int == 303
    assert "Likely causes" in browser.get("/help/errors/database.full").html.get_text()


def test_a_writer_who_holds_the_database_stops_no_reader(sqlite_world):
    anna = sqlite_world.user("anna", "Super Admin")
    browser = sqlite_world.signed_in(anna)
    holder = sqlite3.connect(sqlite_world.database.url.database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        assert browser.get("/machines").status_int == 200
        assert browser.get("/api/v1/machines").status_int == 200
    finally:
        holder.execute("ROLLBACK")
        holder.close()


def test_a_refused_change_leaves_nothing_behind(world):
    browser = world.signed_in(world.user("anna", "Super Admin"))
    _create(world, browser, "Web")
    before = world.fingerprint()
    assert _create(world, browser, "Web").status_int == 409
    assert world.fingerprint() == before


def test_no_secret_is_in_the_log(world, capsys):
    """The log of a session from sign-in to sign-out, with everything written down."""
    anna = world.user("anna", "Super Admin")
    browser = type(world.anonymous())(world.app_with(log_level="debug"))
    entry = form(browser.get("/signin"))
    entry["name"], entry["password"] = "anna", PASSWORD
    page = entry.submit().follow()
    token = page.html.find(attrs={"name": "csrf-token"})["content"]
    made = browser.post("/profile/tokens", {"name": "x", "days": "1", "csrf_token": token})
    key = next(word for word in made.html.stripped_strings if word.startswith("ovc_"))
    api = browser.get("/api/v1/session", headers={"Authorization": f"Bearer {key}"})
    assert api.json["user"]["id"] == anna.id
    form(page, "/signout").submit()

    log = capsys.readouterr().out
    assert "path=/signin status=303" in log
    assert "user=anna@internal" in log
    for secret in (PASSWORD, key, token, browser.cookies.get("ovc_session", "no cookie")):
        assert secret not in log
