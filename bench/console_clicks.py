"""From the click to the first byte of a console, in Chromium on the whole console.

Counted in the browser itself: from the click on a machine's page (or the key that opens the
terminal) over the load of the next page, its scripts, ticket and WebSocket, until the first message
that a console brings.  Each session is ended before the next click.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Page

from bench._report import percentile, report
from bench._site import Site, site
from ovcadmin.security.headers import SESSION_COOKIE
from ovcadmin.services import console_sessions
from tests import rig
from tests.rig.base import wait_until
from tests.rig.browser import chromium
from tests.rig.network import LOOPBACK

CLICKS = 20
WATCH = """(() => {
const now = () => performance.timeOrigin + performance.now();
for (const kind of ["click", "keydown"]) {
  addEventListener(kind, () => sessionStorage.setItem("asked", now()), true);
}
const Plain = WebSocket;
window.WebSocket = class extends Plain {
  constructor(...words) {
    super(...words);
    this.addEventListener("message", ({ data }) => {
      if (typeof data === "string" && !data.includes('"connected"')) return;
      window.firstByte ??= now() - sessionStorage.getItem("asked");
    });
  }
};
})()"""
"""Of a serial line that prints nothing by itself the first byte is the word that it stands."""


def ended(on: Site) -> None:
    """End every console and wait until the gateway has."""
    with on.cloud.work(write=True) as work:
        user = work.actor.user_id or 0
        for row in console_sessions.listing(work, user):
            console_sessions.end(work, user, row.id)

    def none() -> bool:
        with on.cloud.work() as work:
            return not console_sessions.listing(work, work.actor.user_id or 0)

    wait_until(none, "the end of all consoles")


def clicks(on: Site, page: Page, path: str, kind: str, click: Callable[[], None]) -> list[float]:
    """Milliseconds until each click shows something."""
    found = []
    for _ in range(CLICKS):
        page.goto(path, wait_until="load")
        page.evaluate(f"localStorage.setItem('console kind', '{kind}')")
        click()
        page.wait_for_function("() => window.firstByte")
        found.append(float(page.evaluate("window.firstByte")))
        page.evaluate("localStorage.clear()")  # no console comes back by itself
        page.goto("about:blank")
        ended(on)
        time.sleep(0.1)
    return found


def measure(on: Site, front: str, machine_id: int) -> None:
    path = f"{front}/machines/{machine_id}"
    with chromium() as browser:
        context = browser.new_context()
        context.add_cookies([{"name": SESSION_COOKIE, "value": on.key, "url": front}])
        context.add_init_script(WATCH)
        page = context.new_page()
        link = page.get_by_role("link", name="Console", exact=True)
        ways: dict[str, Callable[[], None]] = {
            "serial": link.click,
            "screen": link.click,
            "terminal": lambda: page.keyboard.press("`"),
        }
        for name, click in ways.items():
            tell(name, clicks(on, page, path, name, click))


def tell(name: str, taken: list[float]) -> None:
    for percent in (50, 99):
        report(f"click_to_{name}_p{percent}", percentile(taken, percent), "ms", aim=300)


def main() -> None:
    with (
        rig.libvirt_host("bench") as host,
        site(host, gateway_front="true", local_virt_type="qemu") as on,
    ):
        machine_id = on.cloud.made("web01", start=True)
        measure(on, f"http://{LOOPBACK}:{on.gateway}", machine_id)


if __name__ == "__main__":
    main()
