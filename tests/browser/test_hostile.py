"""What somebody else's page, and a hostile text, can make a real browser do: nothing."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ovcadmin.services import knowledge, knowledge_edits
from tests.functional.test_knowledge import HOSTILE


def test_fault_23_a_hostile_article_runs_nothing_in_a_browser(empty_site, page):
    fired = []
    page.on("dialog", lambda dialog: (fired.append(dialog.message), dialog.dismiss()))
    with empty_site.world.work() as work:
        desk = knowledge_edits.desk(work, "tutorials", "console")
        text = knowledge.Text(
            title="<img src=x onerror=alert(1)>", tags=desk.text.tags, summary="", body=HOSTILE
        )
        knowledge_edits.publish(work, desk, text, note="", version=desk.version)
    empty_site.sign_in(page)
    page.goto(f"{empty_site.url}/knowledge/tutorials/console")
    assert page.locator("h1").inner_text() == "<img src=x onerror=alert(1)>"
    article = page.locator("article")
    assert "<script>alert(1)</script>" in article.inner_text()
    assert article.locator("img, svg, script, iframe, style").count() == 0
    article.get_by_role("link", name="seven").hover()
    for name in ("one", "five"):
        article.get_by_text(name, exact=False).first.click()
    assert page.url.startswith(empty_site.url)
    assert fired == []


def test_fault_24_the_page_before_is_not_seen_again_after_signing_out(empty_site, page):
    empty_site.sign_in(page)
    page.goto(f"{empty_site.url}/profile")
    page.goto(f"{empty_site.url}/users")
    page.locator("main").get_by_text("admin").first.wait_for()
    page.goto(f"{empty_site.url}/profile")
    page.locator("form[action$='/signout'] button").first.evaluate("button => button.click()")
    page.get_by_label("User name").wait_for()
    for _ in range(2):
        page.go_back()
        page.get_by_label("User name").wait_for()
        assert "/signin" in page.url
        assert "admin@internal" not in page.content()


@pytest.fixture
def elsewhere():
    """Serve one page of somebody else's; the fixture is its text, to be set, and its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(server.text.encode())

        def log_message(self, *_words: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.text = ""
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_fault_24_nobody_shows_the_console_in_a_frame_of_his_own(
    empty_site, page, complaints, elsewhere
):
    empty_site.sign_in(page)
    # What is no page may be shown: so frames work here, and pages are refused.
    shown = ["/signin", "/machines", "/live/health"]
    elsewhere.text = "".join(f'<iframe src="{empty_site.url}{path}"></iframe>' for path in shown)
    page.goto(f"http://127.0.0.1:{elsewhere.server_port}/")
    page.wait_for_load_state("networkidle")
    frames = [frame for frame in page.frames if frame != page.main_frame]
    assert [frame.url.startswith("chrome-error:") for frame in frames] == [True, True, False]
    assert all("OpenvCloud" not in frame.content() for frame in frames)
    complaints[:] = [one for one in complaints if "favicon" not in one and "frame" not in one]
