"""Sending an image in a browser: progress, a break and going on, a wrong file, no script."""

from __future__ import annotations

import hashlib
import os
import re

import pytest

from ovcadmin.models import ImageUpload, Operation
from ovcadmin.services import library

MIB = 2**20
PIECES = 3
SIZE = 20 * MIB


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    file = tmp_path_factory.mktemp("disk") / "debian.raw"
    file.write_bytes(os.urandom(SIZE))
    return file


@pytest.fixture
def adding(empty_site, page):
    """The form for a new image."""
    empty_site.sign_in(page)
    page.goto(f"{empty_site.url}/images/new")
    return empty_site, page


def announced(site) -> ImageUpload:
    with site.world.work() as work:
        return work.db.query(ImageUpload).one()


def stored(site) -> bytes:
    return library.path(site.world.settings, announced(site).file).read_bytes()


def test_a_file_is_sent_in_pieces_with_its_progress(adding, disk):
    site, page = adding
    sent = []
    page.on("request", lambda request: sent.append(request) if "/content" in request.url else None)
    page.get_by_label("File").set_input_files(disk)
    assert page.get_by_label("Name", exact=True).input_value() == "debian"
    assert page.get_by_label("Size").input_value() == f"{SIZE} B"
    checksum = hashlib.sha256(disk.read_bytes()).hexdigest()
    page.get_by_label("SHA-256").fill(checksum)
    page.get_by_role("button", name="Send it").click()
    page.wait_for_url(re.compile(r"/operations/\d+"))
    assert len(sent) == PIECES
    assert stored(site) == disk.read_bytes()
    with site.world.work() as work:
        assert work.db.query(Operation).one().params["checksum"] == checksum


def test_what_broke_off_shows_how_far_it_is_and_goes_on_with_the_same_file(
    adding, disk, tmp_path, complaints
):
    site, page = adding
    page.route(re.compile(r"/content\?at=8388608"), lambda route: route.abort())
    page.get_by_label("File").set_input_files(disk)
    page.get_by_role("button", name="Send it").click()
    page.get_by_text("40 % ·").wait_for()
    page.get_by_text("The connection is lost; trying again.").wait_for()
    assert page.get_by_role("progressbar").get_attribute("value") == "40"
    address = page.url
    complaints.clear()  # the request that failed
    page.unroute(re.compile(r"/content\?at=8388608"))

    page.goto(address)
    page.get_by_text("8.4 MB of 21 MB are here").wait_for()
    other = tmp_path / "other.raw"
    other.write_bytes(b"another")
    page.get_by_label("The same file again").set_input_files(other)
    page.get_by_role("button", name="Go on").click()
    page.get_by_text("Choose the very file whose sending broke off").wait_for()
    page.get_by_label("The same file again").set_input_files(disk)
    page.get_by_role("button", name="Go on").click()
    page.wait_for_url(re.compile(r"/operations/\d+"))
    assert stored(site) == disk.read_bytes()
    complaints.clear()


def test_a_lost_piece_is_sent_again_without_a_hand(adding, disk, complaints):
    site, page = adding
    lost = []

    def once(route):
        lost.append(route)
        (route.abort if len(lost) == 1 else route.continue_)()

    page.route(re.compile(r"/content\?at=8388608"), once)
    page.get_by_label("File").set_input_files(disk)
    page.get_by_role("button", name="Send it").click()
    page.wait_for_url(re.compile(r"/operations/\d+"))
    assert len(lost) == PIECES - 1
    assert stored(site) == disk.read_bytes()
    complaints.clear()  # the request that failed


def test_a_refusal_is_shown_as_the_form_shows_it(adding, disk, complaints):
    _, page = adding
    page.get_by_label("File").set_input_files(disk)
    page.get_by_label("SHA-256").fill("not a checksum")
    page.get_by_role("button", name="Send it").click()
    page.get_by_text("A SHA-256 has 64 digits").wait_for()
    complaints.clear()  # the 422


def test_without_script_the_page_says_how_and_the_form_still_announces(empty_site, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    empty_site.sign_in(page)
    page.goto(f"{empty_site.url}/images/new")
    page.get_by_text("Without script a browser cannot send files of this size").wait_for()
    assert not page.get_by_label("File").is_visible()
    page.get_by_label("Name", exact=True).fill("debian")
    page.get_by_label("Size").fill("20 MB")
    page.get_by_role("button", name="Send it").click()
    page.get_by_role("heading", name="debian").wait_for()
    page.get_by_role("button", name="Give it up").click()
    page.get_by_text("No image that you may use.").wait_for()
    context.close()
