"""From the click to the first byte of a console, in Chromium on the whole console.

Counted in the browser itself: from the click on a machine's page (or the key that opens the
terminal) over the load of the next page, its scripts, ticket and WebSocket, until the first message
that a console brings, and until the page says that it stands.  The first click finds nothing of
the consoles in the browser's cache.  Each session is ended before the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from playwright.sync_api import Browser, Page

from bench._report import percentile, report
from bench._site import Site, site
from ovcadmin.security.headers import SESSION_COOKIE
from ovcadmin.services import console_sessions
from tests import rig
from tests.browser.person import wait_for_prompt
from tests.rig.base import wait_until
from tests.rig.browser import chromium
from tests.rig.network import LOOPBACK

CLICKS = 20
WATCH = """(() => {
const now = () => performance.timeOrigin + performance.now();
for (const kind of ["click", "keydown"]) {
  addEventListener(kind, () => sessionStorage.setItem("asked", now()), true);
}
window.WebSocket = new Proxy(WebSocket, {
  construct(plain, words) {
    const made = new plain(...words);
    made.addEventListener("message", ({ data }) => {
      if (typeof data === "string" && !data.includes('"connected"')) return;
      window.firstByte ??= now() - sessionStorage.getItem("asked");
    });
    return made;
  },
});
const look = () => {
  if (document.querySelector('.console-status:not([hidden])[data-state="connected"]')) {
    window.shown = now() - sessionStorage.getItem("asked");
  } else requestAnimationFrame(look);
};
addEventListener("DOMContentLoaded", look);
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


def clicks(
    on: Site, page: Page, path: str, kind: str, click: Callable[[], None]
) -> list[tuple[float, float]]:
    """Milliseconds until the first byte and until the page shows the console, of each click."""
    found = []
    for _ in range(CLICKS):
        page.goto(path, wait_until="load")
        page.evaluate(f"localStorage.setItem('console kind', '{kind}')")
        click()
        page.wait_for_function("() => window.firstByte && window.shown")
        first, shown = page.evaluate("[window.firstByte, window.shown]")
        found.append((float(first), float(shown)))
        page.evaluate("localStorage.clear()")  # no console comes back by itself
        page.goto("about:blank")
        ended(on)
        time.sleep(0.1)
    return found


def _page(on: Site, browser: Browser, front: str) -> Page:
    """A page in a browser that has seen nothing yet."""
    context = browser.new_context()
    context.add_cookies([{"name": SESSION_COOKIE, "value": on.key, "url": front}])
    return context.new_page()


def _until_booted(page: Page, path: str) -> None:
    """A guest that boots would take the processor from what is measured."""
    page.goto(f"{path}/console")
    wait_for_prompt(page)
    page.close()


def measure(on: Site, front: str, machine_id: int) -> None:
    path = f"{front}/machines/{machine_id}"
    with chromium() as browser:
        _until_booted(_page(on, browser, front), path)
        ended(on)
        page = _page(on, browser, front)
        page.add_init_script(WATCH)
        link = page.get_by_role("link", name="Console", exact=True)
        ways: dict[str, Callable[[], None]] = {
            "serial": link.click,
            "screen": link.click,
            "terminal": lambda: page.keyboard.press("`"),
        }
        for name, click in ways.items():
            tell(name, clicks(on, page, path, name, click))


def tell(name: str, taken: list[tuple[float, float]]) -> None:
    first, shown = zip(*taken, strict=True)
    for percent in (50, 99):
        report(f"click_to_{name}_p{percent}", percentile(first, percent), "ms", aim=300)
        report(f"click_to_{name}_shown_p{percent}", percentile(shown, percent), "ms")
    report(f"click_to_{name}_first_of_all", first[0], "ms")


def main() -> None:
    with (
        rig.libvirt_host("bench") as host,
        site(host, gateway_front="true", local_virt_type="qemu") as on,
    ):
        machine_id = on.cloud.made("web01", start=True)
        measure(on, f"http://{LOOPBACK}:{on.gateway}", machine_id)


if __name__ == "__main__":
    main()
