"""Pictures in articles: what is taken in, how it is shown, and what is left of all others."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest

from ovcadmin.services import markdown, pictures
from tests.functional.world import form


def png(width: int = 2, height: int = 1) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    rows = b"".join(b"\0" + b"\x34\x5e\x79" * width for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
WEBP = base64.b64decode("UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA")
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x0b\x08" + struct.pack(">HH", 5, 7) + b"\x01" * 4


@pytest.mark.parametrize(
    "content, told",
    [(png(3, 2), ("png", 3, 2)), (GIF, ("gif", 1, 1)), (WEBP, ("webp", 1, 1)),
     (JPEG, ("jpg", 7, 5))],
)  # fmt: skip
def test_kind_and_size_come_from_the_content(content, told):
    found = pictures.measure(content)
    assert (found.kind, found.width, found.height) == told


@pytest.mark.parametrize(
    "content",
    [b"", b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", b"GIF89a",
     b"\xff\xd8\xff", b"\xff\xd8\xff\xe0\x00\x00", b"\x89PNG\r\n\x1a\n", b"<html>",
     b"RIFF1234WEBP"],
)  # fmt: skip
def test_fault_23_anything_else_is_no_picture(content):
    assert pictures.measure(content) is None


@pytest.fixture
def helga(world):
    return world.signed_in(world.user("helga", "Help Desk"))


def _add(browser, name: str, content: bytes):
    page = browser.get("/knowledge/pictures")
    return browser.post(
        "/knowledge/pictures",
        {"csrf_token": form(page)["csrf_token"].value},
        upload_files=[("picture", name, content)],
        expect_errors=True,
    )


def test_fault_23_an_editor_adds_a_picture_and_readers_see_it_safely(world, helga):
    added = _add(helga, "plan.png", png())
    assert added.status_int == 303
    page = added.follow()
    path = page.html.select_one(".pictures img")["src"]
    reader = world.signed_in(world.user("anna", "User", world.pool("Web")))
    shown = reader.get(path)
    assert shown.content_type == "image/png"
    assert shown.body == png()
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    assert "/signin" in world.anonymous().fetch(path).headers["Location"]
    assert reader.fetch(path.replace(".png", ".gif")).status_int == 404
    assert reader.fetch("/knowledge/pictures").status_int in (403, 404)
    again = _add(helga, "same.png", png()).follow()
    assert len(again.html.select(".pictures img")) == 1


@pytest.mark.parametrize(
    "name, content, why",
    [
        ("evil.svg", b"<svg onload='alert(1)'/>", "no PNG, JPEG, GIF or WebP"),
        ("evil.png", b"<html><script>alert(1)</script>", "no PNG, JPEG, GIF or WebP"),
        ("big.png", png() + b"\0" * 950_000, "larger than 900 kB"),
        ("wide.png", png()[:16] + struct.pack(">II", 90_000, 1) + png()[24:], "wider or higher"),
        ("", b"", "Choose a file"),
    ],
)
def test_fault_23_what_is_no_picture_is_refused_and_said_why(helga, name, content, why):
    answer = _add(helga, name, content)
    assert answer.status_int == 422
    assert why in answer
    assert not answer.html.select(".pictures img")


def test_fault_23_files_are_taken_nowhere_else(helga):
    answer = helga.post(
        "/help-desk",
        {"csrf_token": helga.csrf_token},
        upload_files=[("picture", "a.png", png())],
        expect_errors=True,
    )
    assert answer.status_int in (400, 404, 405)


def test_fault_23_articles_show_pictures_of_this_console_only():
    own = f"/knowledge/pictures/{'a' * 64}.png"
    html = markdown.render(f"![A plan]({own})").html
    assert f'src="{own}"' in html
    assert 'alt="A plan"' in html
    for foreign in ("https://evil.example/x.png", "data:image/svg+xml,x", "//evil/x.png",
                    "/users/1", f"{own}.svg", "javascript:alert(1)"):  # fmt: skip
        html = markdown.render(f"![A plan]({foreign})").html
        assert "<img" not in html
        assert "A plan" in html
