"""What every answer says to the browser, and what is believed of a request's headers."""

from __future__ import annotations

import pytest

from ovcadmin.security import headers
from tests.functional.world import Browser

PATHS = ("/signin", "/", "/nothing", "/api/v1/session", "/help/errors/quota.exceeded")


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_carries_the_security_headers(sqlite_world, path):
    found = sqlite_world.anonymous().fetch(path).headers
    assert found["Content-Security-Policy"] == (
        "default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    )
    assert found["X-Content-Type-Options"] == "nosniff"
    assert found["X-Frame-Options"] == "DENY"
    assert found["Referrer-Policy"] == "same-origin"
    assert found["Cache-Control"] == "no-store"
    assert "Strict-Transport-Security" not in found
    assert len(found["X-Request-Id"]) == 32


def test_https_is_remembered(sqlite_world):
    browser = sqlite_world.anonymous(**{"wsgi.url_scheme": "https"})
    assert browser.get("/signin").headers["Strict-Transport-Security"] == "max-age=31536000"


def test_files_with_their_version_in_the_path_may_be_kept(sqlite_world):
    browser = sqlite_world.anonymous()
    href = browser.get("/signin").html.find("link", rel="stylesheet")["href"]
    found = browser.get(href)
    assert "max-age=31536000" in found.headers["Cache-Control"]
    assert found.headers["X-Content-Type-Options"] == "nosniff"
    assert browser.fetch("/static/000000000000/css/theme.css").status_int == 404
    assert browser.fetch(href.replace("theme.css", "../../../development.ini")).status_int == 404
    assert browser.fetch(f"{href}/..%2f..%2f..%2fdevelopment.ini").status_int == 404


def test_fault_24_a_page_is_not_kept_for_who_comes_after_sign_out(sqlite_world):
    browser = sqlite_world.signed_in(sqlite_world.user("anna", "User"))
    assert browser.get("/machines").headers["Cache-Control"] == "no-store"
    browser.send("/signout")
    assert browser.fetch("/machines").status_int == 303


@pytest.mark.parametrize(
    "host", ["evil.example", "cloud.example.org.evil.example", "cloud.example.org:81", "10.0.0.1"]
)
def test_fault_24_a_foreign_host_name_is_refused(sqlite_world, public, host):
    browser = Browser(public, extra_environ={"HTTP_HOST": host, "REMOTE_ADDR": "192.0.2.7"})
    for path in ("/", "/signin", "/api/v1/session"):
        answer = browser.fetch(path)
        assert answer.status_int == 400
        assert "request.host" in answer
    assert host not in browser.fetch("/signin").headers.get("Location", "")


@pytest.fixture
def public(sqlite_world):
    """The console with a public address and a trusted proxy."""
    return sqlite_world.app_with(
        public_url="https://cloud.example.org", trusted_proxies="198.51.100.0/24"
    )


def test_the_right_host_name_is_served_in_any_case(public):
    browser = Browser(public, extra_environ={"HTTP_HOST": "Cloud.Example.org"})
    assert browser.get("/signin").status_int == 200


@pytest.mark.parametrize("host", ["a b", "x/../y", "evil.example\\@cloud", "<script>", "a" * 300])
def test_fault_24_a_host_that_is_none_is_refused_everywhere(sqlite_world, host):
    browser = sqlite_world.anonymous(HTTP_HOST=host)
    assert browser.fetch("/signin").status_int == 400


def test_fault_24_forwarded_headers_of_strangers_count_for_nothing(sqlite_world, public):
    told = {
        "HTTP_X_FORWARDED_FOR": "203.0.113.9",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "cloud.example.org",
    }
    stranger = Browser(
        public, extra_environ={"REMOTE_ADDR": "192.0.2.7", "HTTP_HOST": "evil.example", **told}
    )
    assert stranger.fetch("/signin").status_int == 400

    proxy = Browser(
        public, extra_environ={"REMOTE_ADDR": "198.51.100.3", "HTTP_HOST": "web:6544", **told}
    )
    page = proxy.get("/signin")
    assert page.headers["Strict-Transport-Security"]


@pytest.mark.parametrize(
    "peer, said, address",
    [
        ("198.51.100.3", "203.0.113.9", "203.0.113.9"),
        ("198.51.100.3", "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        ("198.51.100.3", "203.0.113.9, 198.51.100.4", "203.0.113.9"),
        ("198.51.100.3", "nonsense", "198.51.100.3"),
        ("198.51.100.3", "203.0.113.9, nonsense", "198.51.100.3"),
        ("198.51.100.3", "", "198.51.100.3"),
        ("192.0.2.7", "203.0.113.9", "192.0.2.7"),
        ("", "203.0.113.9", ""),
    ],
)
def test_the_browser_is_the_last_address_that_is_no_proxy(peer, said, address):
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": said}
    headers.believe_proxy(environ, ("198.51.100.0/24",))
    assert environ["REMOTE_ADDR"] == address
    assert "HTTP_X_FORWARDED_FOR" not in environ


def test_an_address_takes_only_its_own_methods(sqlite_world):
    browser = sqlite_world.signed_in(sqlite_world.user("anna", "Super Admin"))
    refused = browser.fetch("/signout")
    assert refused.status_int == 405
    assert refused.headers["Allow"] == "POST"
    put = browser.put("/machines", "", expect_errors=True)
    assert (put.status_int, put.headers["Allow"]) == (405, "GET, HEAD")
    assert browser.head("/machines").status_int == 200
    assert browser.fetch("/hosts/fragments/nothing").status_int == 404


def test_looking_at_pages_writes_nothing(world):
    anna = world.user("anna", "Super Admin")
    pool, host = world.pool("Web"), world.host()
    world.image()
    machine = world.machine("web01", pool)
    browser = world.signed_in(anna)
    before = world.fingerprint()
    for path in (
        "/", "/pools", f"/pools/{pool.id}", "/machines", f"/machines/{machine.id}", "/hosts",
        f"/hosts/{host.id}", "/images", "/storage", "/operations", "/consumption", "/profile",
        "/api/v1/machines",
    ):  # fmt: skip
        assert browser.get(path).status_int == 200
    assert world.fingerprint() == before
