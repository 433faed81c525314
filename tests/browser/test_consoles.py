"""The terminal drawer and the consoles of a machine, in a browser on the whole console."""

import re

import pytest

from tests.browser.person import (
    SECONDS,
    domain_of,
    make_machine,
    make_pool,
    wait_for_prompt,
    wait_for_state,
)

PROMPT = re.compile(r"ovc>\s*$")


@pytest.fixture
def signed_in(running_cloud, page):
    running_cloud.sign_in(page)
    page.goto(f"{running_cloud.url}/images")
    page.locator("main tbody .badge.running").first.wait_for(timeout=SECONDS)
    return running_cloud, page


def says(page, *lines):
    """Type lines into the terminal in front, one after the answer to the other."""
    screen = page.locator(".drawer-console:not([hidden]) .xterm-rows")
    for line, answer in lines:
        page.keyboard.type(f"{line}\n")
        screen.filter(has_text=re.compile(answer)).wait_for(timeout=SECONDS)
    return screen


@pytest.mark.timeout(200)
def test_the_terminal_opens_by_its_key_and_survives_page_loads(signed_in, complaints):
    cloud, page = signed_in
    pool = make_pool(page, cloud)
    page.keyboard.press("`")
    screen = page.locator(".drawer-console:not([hidden]) .xterm-rows")
    screen.filter(has_text=PROMPT).wait_for(timeout=SECONDS)
    says(page, (f"pools show {pool}", r"→\s/pools/"))
    page.goto(f"{cloud.url}/machines")
    screen.filter(has_text=re.compile(r"→\s/pools/")).wait_for(timeout=SECONDS)

    page.get_by_role("button", name="Another terminal").click()
    page.get_by_role("tab", name="ovc 2").wait_for()
    screen.filter(has_text=PROMPT).wait_for(timeout=SECONDS)
    says(page, ("whoami", "admin"), ("exit", ""))
    page.get_by_role("tab", name="ovc 2").wait_for(state="detached", timeout=SECONDS)

    page.goto(f"{cloud.url}/consoles")
    page.get_by_role("button", name="End ovc 1").click()
    page.get_by_text("The console is ended.").wait_for()
    screen.filter(has_text=PROMPT).wait_for(timeout=SECONDS)  # the drawer opened a fresh one
    assert "/pools/" not in screen.inner_text()
    assert complaints == []


@pytest.mark.timeout(200)
def test_fault_25_no_ticket_is_in_an_address_or_a_referer(signed_in, complaints):
    cloud, page = signed_in
    asked, tickets = [], []
    page.on("request", lambda one: asked.append(f"{one.url} {one.headers.get('referer')}"))

    def opened(socket):
        asked.append(socket.url)
        socket.on("framesent", lambda data: tickets.extend(TICKET.findall(str(data))))

    page.on("websocket", opened)
    _open_terminal(page)
    page.get_by_role("link", name="Machines", exact=True).click()  # says where it comes from
    _prompt(page)
    assert len(set(tickets)) == 2
    assert [line for line in asked if any(ticket in line for ticket in tickets)] == []
    assert any(f"/machines {cloud.url}/" in line for line in asked)
    assert complaints == []


@pytest.mark.timeout(200)
def test_fault_30_a_paste_hides_no_command(signed_in, complaints):
    """What ends a paste, hidden in it, would have the rest typed as if by hand."""
    _, page = signed_in
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("text => navigator.clipboard.writeText(text)", "who\x1b[201~ami\r\x1b[200~ x")
    _open_terminal(page)
    page.keyboard.press("Control+Shift+V")
    screen = page.locator(".drawer-console:not([hidden]) .xterm-rows")
    screen.filter(has_text="who[201~ami").wait_for(timeout=SECONDS)
    assert "Realm" not in screen.inner_text()
    page.keyboard.press("Control+C")
    says(page, ("whoami", "Realm"))
    assert complaints == []


TICKET = re.compile(r'"ticket":"([^"]+)"')


def _open_terminal(page):
    page.keyboard.press("`")
    _prompt(page)


def _prompt(page):
    screen = page.locator(".drawer-console:not([hidden]) .xterm-rows")
    screen.filter(has_text=PROMPT).wait_for(timeout=SECONDS)


IN_DRAWER = ".drawer-console:not([hidden])"


@pytest.mark.timeout(300)
@pytest.mark.requirement("KVM-66", "KVM-41", "PEER-10", "PEER-21")
def test_fault_29_consoles_take_keys_and_come_back_after_every_break(signed_in, complaints):
    cloud, page = signed_in
    sockets = []
    page.on("websocket", lambda one: sockets.append(one.url))
    make_pool(page, cloud)
    make_machine(page)
    wait_for_state(page, "running")
    domain = domain_of(cloud, page)
    listening = cloud.host.virsh("domdisplay", domain, "--type", "vnc")
    assert re.match(r"vnc://(127\.0\.0\.1|localhost):", listening)
    page.get_by_role("link", name="Console", exact=True).click()
    wait_for_prompt(page)
    _tricks_of_the_guest_do_nothing(page, "#console", 1)
    page.get_by_role("button", name="Keep it in the drawer").click()
    _row(page, IN_DRAWER, "d1")  # another page, the same session
    _tricks_of_the_guest_do_nothing(page, IN_DRAWER, 2)
    page.get_by_role("link", name="Console", exact=True).click()
    _row(page, "#console", "d2")

    page.get_by_role("tab", name="Screen", exact=True).click()
    _keys_are_seen(page)
    assert complaints == []
    cloud.kill_gateway()
    _serial_and_screen_come_back(page)
    complaints.clear()  # the browser names each request that had no answer

    page.get_by_role("tab", name="Screen", exact=True).click()
    canvas = page.locator("#screen canvas")
    before = canvas.screenshot()
    page.get_by_role("button", name="Ctrl-Alt-Del").click()
    _until_changed(page, canvas, before)
    cloud.host.virsh("destroy", domain)
    _says(page, "stopped|Reconnecting|does not run")
    wait_for_state(page, "stopped")
    cloud.host.virsh("start", domain)
    _says(page, "Connected")
    page.get_by_role("tab", name="Serial", exact=True).click()
    _row(page, "#console", r"\[machine stopped\]")
    _row(page, "#console", r"\[the machine runs again\]")
    assert set(sockets) == {f"{cloud.url.replace('http', 'ws')}/live/console"}
    complaints[:] = [one for one in complaints if "409 (Conflict)" not in one]  # of the stop
    assert complaints == []


def _says(page, words):
    """Wait until the screen's page says how it stands."""
    status = page.locator("#screen-status")
    status.filter(has_text=re.compile(words)).wait_for(timeout=SECONDS)


def _keys_are_seen(page):
    """What is typed into the picture is drawn in it."""
    _says(page, "Connected")
    page.wait_for_function(f"() => {BRIGHT} > 0", timeout=SECONDS)
    before = page.evaluate(BRIGHT)
    page.locator("#screen canvas").click()
    page.keyboard.type("ls -l /\n")
    page.wait_for_function(
        f"() => {BRIGHT} > {before} + 1000", timeout=SECONDS
    )  # a cursor has fewer


def _serial_and_screen_come_back(page):
    """By themselves, in sessions of the gateway that took over."""
    _says(page, "Reconnecting")
    _says(page, "Connected")
    page.get_by_role("tab", name="Serial", exact=True).click()
    page.locator("#console-status").filter(has_text="Connected").wait_for(timeout=SECONDS)
    page.locator("#console .xterm-helper-textarea").press("Enter")
    wait_for_prompt(page)
    page.keyboard.type("echo b$((1+1))\n")
    _row(page, "#console", "b2")


def _row(page, frame, text):
    """Wait for a line of the guest."""
    rows = page.locator(f"{frame} .xterm-rows > div")
    rows.filter(has_text=re.compile(rf"^{text}\s*$")).first.wait_for(timeout=SECONDS)


def _tricks_of_the_guest_do_nothing(page, frame, mark):
    """Fault 27: what it prints reaches neither the clipboard nor the title, and leads nowhere."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("navigator.clipboard.writeText('mine')")
    title, address = page.title(), page.url
    page.locator(f"{frame} .xterm-helper-textarea").focus()
    tricks = r"\033]52;c;aGFja2Vk\007\033]0;owned\007\033]8;;/signin\007lnk\033]8;;\007\n"
    page.keyboard.type(f"printf '{tricks}';echo d$(({mark}))\n")
    _row(page, frame, f"d{mark}")
    assert page.evaluate("navigator.clipboard.readText()") == "mine"
    assert (page.title(), page.url) == (title, address)


BRIGHT = """(() => {
  const canvas = document.querySelector("#screen canvas");
  if (!canvas || !canvas.width) return 0;
  const copy = document.createElement("canvas");
  copy.width = canvas.width;
  copy.height = canvas.height;
  const drawn = copy.getContext("2d", { willReadFrequently: true });
  drawn.drawImage(canvas, 0, 0);
  const data = drawn.getImageData(0, 0, copy.width, copy.height).data;
  return data.filter((value, index) => index % 4 === 0 && value > 60).length;
})()"""
"""How many dots of the screen are not dark."""


def _until_changed(page, canvas, before):
    for _ in range(100):
        if canvas.screenshot() != before:
            return
        page.wait_for_timeout(200)
    raise AssertionError("the picture is still the same")
