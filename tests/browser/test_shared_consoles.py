"""Consoles that two look at, and recordings that are played, in browsers."""

import struct

import pytest
from playwright.sync_api import expect

from ovcadmin.domain import recordings as form
from ovcadmin.domain.states import State
from ovcadmin.gateway import rfb
from ovcadmin.models import Machine
from ovcadmin.services import console_policies, recordings
from ovcadmin.services.consoles import GRAPHICS, SERIAL, Holder
from tests.browser.person import SECONDS

LINES = [(0, "o", "login: "), (400, "o", "hello from then"), (500, "m", "bert watches")]
PIXELS = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 0, 8, 16)
SIZE = 8
GREETING = rfb.GREETING + struct.pack(">HH", SIZE, SIZE) + PIXELS + struct.pack(">I1s", 1, b"m")
WHITE = struct.pack(">BxHHHHHi", rfb.UPDATE, 1, 0, 0, SIZE, SIZE, rfb.RAW) + b"\xff" * 4 * SIZE**2
SHOWN = """() => {
  const canvas = document.querySelector("#player canvas");
  if (!canvas || !canvas.width) return false;
  const copy = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(1, 1, 1, 1).data[0] > 200;
}"""


def machine_on(site):
    """A machine that runs as far as anybody knows; its console waits for a host for ever."""
    world = site.world
    host = world.host()
    world.image()
    return world.machine("web01", world.pool("Web"), host=host, state=State.RUNNING)


def kept(site, kind, data):
    """The number of a complete recording of a kind."""
    user, machine_id = site.administrator(), machine_on(site).id
    with site.world.work() as work:
        machine = work.db.get_one(Machine, machine_id)
        console_policies.put(work, machine.pool, records=True)
        holder = Holder(user_id=user.id, kind=kind, machine_id=machine.id)
        order = recordings.order(work, holder, 7, machine)
        recordings.add(work, order.recording_id, data, length=500)
        recordings.finish(work, [7])
        return order.recording_id


@pytest.mark.requirement("NEW-07")
def test_text_is_played_to_its_end_and_from_any_second(empty_site, page):
    number = kept(empty_site, SERIAL, b"".join(form.cast_line(*line) for line in LINES))
    empty_site.sign_in(page)
    page.goto(f"{empty_site.url}/recordings")
    page.get_by_role("link", name="web01", exact=True).click()
    assert page.url.endswith(f"/recordings/{number}")
    rows = page.locator("#player .xterm-rows")
    page.get_by_role("button", name="Play").click()
    page.locator("#player").scroll_into_view_if_needed()  # what nobody sees is not drawn
    expect(rows).to_contain_text("login: hello from then", timeout=SECONDS)
    page.get_by_text("bert watches").wait_for()
    page.get_by_label("Second", exact=True).fill("0.1")
    rows.filter(has_not_text="hello").wait_for()
    assert "login:" in rows.inner_text()


@pytest.mark.requirement("NEW-07")
def test_a_screen_is_played_as_its_pictures(empty_site, page):
    data = form.block(0, GREETING) + form.block(300, WHITE)
    number = kept(empty_site, GRAPHICS, data)
    empty_site.sign_in(page)
    page.goto(f"{empty_site.url}/recordings/{number}")
    page.get_by_role("button", name="Play").click()
    page.wait_for_function(SHOWN)


@pytest.fixture
def other_page(browser):
    """A page of somebody else's browser."""
    context = browser.new_context()
    yield context.new_page()
    context.close()


@pytest.mark.requirement("NEW-07")
def test_who_has_a_console_is_asked_on_its_page_and_in_the_drawer(empty_site, page, other_page):
    machine = machine_on(empty_site)
    empty_site.world.user("bert", "User", machine.pool)
    path = f"{empty_site.url}/machines/{machine.id}/console"
    empty_site.sign_in(page)
    empty_site.sign_in(other_page, "bert")
    page.goto(path)
    page.locator("#console-status[data-state=reconnecting]").wait_for()
    other_page.goto(path)
    other_page.get_by_text("admin@internal has this console open.").wait_for()
    other_page.get_by_role("button", name="Ask to watch").click()
    page.locator("#watching").get_by_text("bert@internal asks to watch.").wait_for()
    page.get_by_role("button", name="Let watch").click()
    other_page.get_by_text("You watch admin@internal.").wait_for()

    page.get_by_role("button", name="Keep it in the drawer").click()
    in_drawer = page.locator(".drawer-people")
    in_drawer.get_by_text("bert@internal watches.").wait_for()
    other_page.get_by_role("button", name="Ask for the keyboard").click()
    in_drawer.get_by_text("bert@internal asks for the keyboard.").wait_for()
    in_drawer.get_by_role("button", name="Give the keyboard").click()
    other_page.get_by_text("You have the keyboard of admin@internal.").wait_for()
    in_drawer.get_by_role("button", name="Send away").click()
    other_page.get_by_text("admin@internal does not let you watch.").wait_for()
