"""What every list of the REST API can do: chosen fields, order; and how fast a token may ask."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, event

from ovcadmin.domain.states import State
from ovcadmin.errors import RateExceeded
from ovcadmin.security.rates import BURST, Rates
from ovcadmin.services import tokens
from tests.functional.world import Api


def test_only_the_asked_fields_are_told(sqlite_world):
    world = sqlite_world
    world.host()
    world.image()
    world.machine("web01", world.pool("Web"))
    api = world.api(world.admin())
    (row,) = api("GET", "/machines?fields=id,name,pool.name").json["items"]
    assert row.keys() == {"id", "name", "pool"}
    assert row["pool"] == {"name": "Web"}
    assert api("GET", "/machines").json["items"][0]["uuid"]
    wrong = api("GET", "/machines?fields=id,price")
    assert wrong.status_int == 422
    assert wrong.json["fields"] == [{"field": "fields", "text": "There is no field price here."}]


def test_lists_by_name_come_page_by_page(sqlite_world):
    for name in ("beta", "Alpha", "gamma"):
        sqlite_world.pool(name)
    api = sqlite_world.api(sqlite_world.admin())
    found, cursor = [], ""
    while cursor is not None:
        page = api("GET", f"/pools?sort=name&limit=2{cursor and f'&cursor={cursor}'}").json
        found += [row["name"] for row in page["items"]]
        cursor = page["next"]
    assert found == ["Alpha", "beta", "Cloud", "gamma"]
    last = api("GET", "/pools?sort=-name&limit=1").json["items"][0]["name"]
    assert last == "gamma"


def test_a_token_that_asks_too_fast_is_told_when_to_come_back(sqlite_world):
    world = sqlite_world
    app = world.app_with(api_rate="2")
    admin = world.admin()
    with world.work() as work:
        keys = [tokens.create(work, admin.id, name=n, days=1)[1] for n in ("a", "b")]
    fast, other = (Api(app, key) for key in keys)
    answers = [fast("GET", "/session") for _ in range(2 * BURST)]
    assert [one.status_int for one in answers] == [200] * 2 * BURST
    while (refused := fast("GET", "/session")).status_int == 200:
        pass  # a slow machine asks hardly faster than the rate
    assert refused.status_int == 429
    assert refused.headers["Retry-After"] == "1"
    assert refused.json["code"] == "request.rate"
    assert other("GET", "/session").status_int == 200


def test_the_limit_holds_across_web_processes(tmp_path):
    one, other = (Rates(1, tmp_path / "rates", clock=lambda: 100.0) for _ in range(2))
    for _ in range(BURST // 2):
        one.take("a")
        other.take("a")
    for process in (one, other):
        with pytest.raises(RateExceeded):
            process.take("a")


def test_a_bucket_fills_up_again(tmp_path):
    now = [100.0]
    rates = Rates(1, tmp_path / "rates", clock=lambda: now[0])
    for _ in range(BURST):
        rates.take("a")
    with pytest.raises(RateExceeded, match="1 requests a second"):
        rates.take("a")
    rates.take("b")
    now[0] += 2
    rates.take("a")
    rates.take("a")
    with pytest.raises(RateExceeded, match="Wait 1 s"):
        rates.take("a")
    now[0] = 1.0  # the machine was started anew
    rates.take("a")


def test_a_longer_page_asks_the_database_no_more_often(sqlite_world):
    world = sqlite_world
    pool, host, image = world.pool("Web"), world.host(), world.image()
    api, asked = world.api(world.admin()), []
    machines = [world.machine(f"web{number}", pool, image=image, host=host) for number in range(9)]

    def count(limit):
        asked.clear()
        assert len(api("GET", f"/machines?limit={limit}").json["items"]) == limit
        return len(asked)

    @event.listens_for(Engine, "before_cursor_execute")
    def note(_connection, _cursor, statement, *_more):
        asked.append(statement)

    try:
        count(1)  # the first request notes that the token is in use
        assert count(len(machines)) == count(2)
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_no_other_site_reads_the_api(sqlite_world):
    api = sqlite_world.api(sqlite_world.admin())
    answer = api("GET", "/session", Origin="https://elsewhere.example.org")
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    asked = api.app.options(
        "/api/v1/session",
        headers={"Origin": "https://elsewhere.example.org", "Access-Control-Request-Method": "GET"},
        expect_errors=True,
    )
    assert asked.status_int >= 400
    assert not [name for name in asked.headers if name.lower().startswith("access-control")]


def test_machines_are_narrowed_and_ordered_by_whatever_is_shown_of_them(world):
    """Every filter with every order: lists are joined only with what they need."""
    beta, alpha = world.host("beta"), world.host("alpha")
    image, pools = world.image(), [world.pool("Web"), world.pool("Archive")]
    ben = world.user("ben", "Administrator")
    world.machine("mail", pools[0], image=image, host=beta, state=State.RUNNING)
    world.machine("web", pools[1], image=image, host=alpha, owner=ben, size="small")
    api = world.api(world.user("wanda", "Monitor"))

    def names(query):
        found = api("GET", f"/machines?{query}").json
        assert found["total"] == len(found["items"]), query
        return [row["name"] for row in found["items"]]

    first = {
        "name": "mail", "state": "mail", "host": "web", "pool": "web", "owner": "mail",
        "vcpus": "mail", "memory": "mail", "storage": "mail", "created": "mail",
    }  # fmt: skip
    narrowed = {"": 2, "state=running": 1, "owner=ben": 1, f"host_id={alpha.id}": 1, "q=web": 1}
    for sort, begins in first.items():
        assert names(f"sort={sort}")[0] == names(f"sort=-{sort}")[1] == begins, sort
        for query, count in narrowed.items():
            assert len(names(f"{query}&sort={sort}" if query else f"sort={sort}")) == count
    for query, count in narrowed.items():
        assert len(names(query)) == count
