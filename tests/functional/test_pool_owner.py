"""Somebody was handed a pool and hands parts of it on; every page is within it."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from ovcadmin.domain.states import State
from tests.functional.test_grants import give
from tests.functional.world import form

SECRET = "Zanzibar"
"""Part of every name that the owner may not see."""
ENOUGH = 240
"""Pages that the crawl looks at."""


def _estate(world):
    """An account that olga was handed, and another one beside it with one of everything."""
    own = world.pool("Own", machines=5, storage=50 * 10**9)
    foreign = world.pool(SECRET, machines=5)
    host = world.host("own-host", own)
    world.image("Debian", own)
    world.machine("own01", own, host=host, state=State.RUNNING)
    other = world.host(f"{SECRET}-host", foreign)
    image = world.image(f"{SECRET}-image", foreign)
    world.machine(f"{SECRET}-machine", foreign, image=image, host=other)
    olga = world.user("olga", "Super Admin", own)
    return {"own": own, "olga": olga}


@pytest.mark.requirement("KVM-63")
def test_an_owner_makes_a_pool_with_a_quota_and_gives_it_to_somebody(world):
    estate = _estate(world)
    anna = world.user("anna")
    olga = world.signed_in(estate["olga"])
    made = form(olga.get(f"/pools/{estate['own'].id}").click("New sub-pool"))
    made["name"] = "Team"
    page = made.submit().follow()
    number = page.request.path.split("/")[2]
    quota = form(page.click("Quota"))
    quota["machines"], quota["storage"] = "1", "2 GB"
    assert "The quota of Team is set." in quota.submit().follow()
    with world.work() as work:
        team = work.db.get(type(estate["own"]), int(number))
    _, given = give(olga, team, "anna", "User")
    assert given.status_int == 303

    hers = world.signed_in(anna)
    assert [link.get_text(strip=True) for link in hers.get("/pools").html.find("main")
            .find_all("td", class_="name")] == ["Team"]  # fmt: skip
    for name, status in (("web01", 303), ("web02", 303), ("web03", 409)):
        order = form(hers.get(f"/machines/new?pool={number}"))
        order["name"], order["size"] = name, "tiny"
        order["start"].checked = name == "web01"
        assert order.submit(expect_errors=True).status_int == status
    # What she took counts in the pool above.
    assert "3 of 50 GB" in olga.get(f"/pools/{estate['own'].id}").html.find("main").get_text(
        " ", strip=True
    ).replace("1 + 2", "3")


@pytest.mark.requirement("OVT-36", "OVT-56")
@pytest.mark.timeout(300)
def test_every_page_that_an_owner_reaches_works_and_is_within_his_pool(sqlite_world):
    """Follow every link from home, as far as it goes."""
    estate = _estate(sqlite_world)
    olga = sqlite_world.signed_in(estate["olga"])
    waiting, seen = ["/"], {"/"}
    while waiting and len(seen) < ENOUGH:
        path = waiting.pop(0)
        page = olga.fetch(path)
        # Some addresses only lead on, such as to the form of the one pool that there is.
        assert page.status_int in (200, 303), path
        if page.status_int == 303:
            page = page.follow()
        assert SECRET not in page.text, path
        if not page.content_type.startswith("text/html"):
            continue
        for link in page.html.find_all("a", href=True):
            parts = urlsplit(link["href"])
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
            if not parts.netloc and parts.path.startswith("/") and target not in seen:
                if parts.path.startswith(("/static", "/live", "/api")):
                    continue
                seen.add(target)
                waiting.append(target)
    own = estate["own"].id
    for part in ("", "/quota", "/edit", "/persons", "/policy", "/forecast", "/lend", "/tags"):
        assert f"/pools/{own}{part}" in seen or part in ("/quota", "/lend"), part
    for path in ("/pools", "/machines", "/hosts", "/storage", "/images", "/operations"):
        assert path in seen
