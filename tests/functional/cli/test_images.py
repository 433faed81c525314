"""The image library by `ovc`: sending, going on after a break, copies."""

from __future__ import annotations

import hashlib
import os

import pytest

from ovcadmin.models import Image
from ovcadmin.services import library
from tests.functional.outside import Outside, nothing_waits, run_all

MIB = 2**20
ISO = bytes(0x8001) + b"CD001" + bytes(2048) + os.urandom(9 * MIB)


@pytest.fixture
def site(sqlite_world):
    sqlite_world.host()
    nothing_waits(sqlite_world)
    return sqlite_world


def test_a_file_is_sent_and_becomes_an_image(shell, site, tmp_path):
    file = tmp_path / "netinst.iso"
    file.write_bytes(ISO)
    sent = shell.json("images", "upload", file, "--pool", "Cloud")
    assert (sent["received"], sent["kind"]) == (len(ISO), "iso")
    assert [one.state for one in run_all(site, Outside())] == ["done", "done"]
    shown = shell.json("images", "show", "netinst")
    assert (shown["kind"], shown["checksum"]) == ("iso", hashlib.sha256(ISO).hexdigest())
    assert shell.json("images", "list", "--kind", "disk") == []
    copies = shell.json("images", "copies", "netinst")
    assert [copy["state"] for copy in copies] == ["ready"]
    store = copies[0]["storage_pool"]["name"]
    shell("images", "remove-copy", "netinst", "--storage-pool", store)
    run_all(site, Outside())
    shell("images", "copy", "netinst", "--storage-pool", store)
    run_all(site, Outside())
    assert shell.json("images", "edit", "netinst", "--name", "Installer")["name"] == "Installer"
    shell("images", "delete", "Installer", "--yes")
    run_all(site, Outside())
    assert shell.json("images", "list") == []


def test_what_broke_off_is_gone_on_with(shell, site, tmp_path):
    file = tmp_path / "netinst.iso"
    file.write_bytes(ISO)
    body = {"name": "netinst", "size": len(ISO), "kind": "iso"}
    api = site.api(site.admin())
    begun = api("POST", f"/pools/{site.root().id}/image-uploads", body).json
    headers = {**api.headers, "Content-Type": "application/octet-stream"}
    path = f"/api/v1/image-uploads/{begun['id']}/content?at=0"
    api.app.put(path, ISO[:MIB], headers=headers)
    assert shell.json("images", "uploads")[0]["received"] == MIB
    sent = shell("images", "upload", file, "--pool", "Cloud")
    assert f"Going on where it broke off: {MIB} of {len(ISO)}" in sent.err
    assert run_all(site, Outside())[0].state == "done"


def test_an_upload_is_given_up(shell, site):
    body = {"name": "d12", "size": 1000}
    api = site.api(site.admin())
    begun = api("POST", f"/pools/{site.root().id}/image-uploads", body).json
    shell("images", "abandon", begun["id"], "--yes")
    assert shell.json("images", "uploads") == []
    assert list(library.directory(site.settings).iterdir()) == []


def test_addresses_are_registered_and_fetches_refused_by_the_settings(shell, site):
    made = shell.json(
        "images", "add-network", "tftp://10.0.0.5/boot.ipxe", "--pool", "Cloud", "--name", "pxe"
    )
    assert (made["kind"], made["address"]) == ("network", "tftp://10.0.0.5/boot.ipxe")
    refused = shell.run(
        "images", "fetch", "https://example.org/d.raw", "--pool", "Cloud", "--name", "d"
    )
    assert (refused.code, "image.source" in refused.err) == (5, True)


def test_a_kickstart_is_added_read_and_changed(shell, site, tmp_path):
    image = site.image("Rocky 9")
    with site.work() as work:
        work.db.get_one(Image, image.id).kind = "iso"
    file = tmp_path / "web.ks"
    file.write_text("lang en_US.UTF-8\nreboot\n")
    more = ("--iso", "Rocky 9", "--pool", "Cloud", "--name", "Rocky web")
    made = shell.json("images", "add-kickstart", file, *more)
    assert (made["kind"], made["iso"]["name"]) == ("kickstart", "Rocky 9")
    assert shell("images", "kickstart", "Rocky web").out == file.read_text()
    file.write_text("lang de_DE.UTF-8\n")
    shell("images", "kickstart", "Rocky web", "--set", file)
    assert shell("images", "kickstart", "Rocky web").out == "lang de_DE.UTF-8\n"
    (listed,) = shell.json("images", "list", "--kind", "kickstart")
    assert listed["name"] == "Rocky web"
    other = shell.run("images", "kickstart", "Rocky 9")
    assert (other.code, "is no kickstart" in other.err) == (4, True)
