"""The image library as its users meet it: uploads in pieces, checks, copies, and the end."""

from __future__ import annotations

import errno
import hashlib
import os

import pytest

from ovcadmin.models import Grant, Image, ImageUpload, Medium, StoragePool, Volume
from ovcadmin.services import images, library, machines, operations, pools, sizes, uploads
from tests.functional.outside import Outside, nothing_waits, run_all
from tests.functional.world import form

MIB = 2**20
DISK = b"boot" + os.urandom(MIB) + bytes(2 * MIB) + b"tail" + bytes(504)
ISO = bytes(0x8001) + b"CD001" + bytes(64 * 1024)
PIECE = 3 * MIB // 2


@pytest.fixture
def site(world):
    """A host with storage; nothing waits."""
    world.host()
    nothing_waits(world)
    return world


def announce(api, pool, **more):
    body = {"name": "Debian 12", "size": len(DISK), **more}
    return api("POST", f"/pools/{pool.id}/image-uploads", body)


def put(api, upload_id: int, at: int, piece: bytes):
    headers = {**api.headers, "Content-Type": "application/octet-stream"}
    path = f"/api/v1/image-uploads/{upload_id}/content?at={at}"
    return api.app.put(path, piece, headers=headers, expect_errors=True)


def send(api, upload_id: int, content: bytes, at: int = 0):
    for begin in range(at, len(content), PIECE):
        answer = put(api, upload_id, begin, content[begin : begin + PIECE])
        assert answer.status_int == 200, answer.text
    return answer.json


def uploaded(world, content: bytes, **more):
    """Upload by the API and run what follows; return the operations that ran."""
    api = world.api(world.admin())
    made = announce(api, world.root(), size=len(content), **more)
    assert made.status_int == 201, made.text
    send(api, made.json["id"], content)
    return run_all(world, Outside())


def files(world) -> list[str]:
    return sorted(path.name for path in library.directory(world.settings).iterdir())


def test_a_disk_comes_in_pieces_is_checked_registered_and_copied_to_where_it_serves(site):
    api = site.api(site.admin())
    made = announce(api, site.root(), checksum=hashlib.sha256(DISK).hexdigest()).json
    assert (made["received"], made["size"]) == (0, len(DISK))
    done = send(api, made["id"], DISK)
    assert done["operation_id"] is not None
    outside = Outside()
    ended = run_all(site, outside)
    assert [(one.type, one.state) for one in ended] == [
        ("image.upload", "done"), ("image.copy", "done")
    ]  # fmt: skip
    shown = api("GET", "/images").json["items"][0]
    assert (shown["name"], shown["kind"], shown["size"]) == ("Debian 12", "disk", len(DISK))
    assert shown["checksum"] == hashlib.sha256(DISK).hexdigest()
    copies = api("GET", f"/images/{shown['id']}/copies").json["items"]
    assert [copy["state"] for copy in copies] == ["ready"]
    assert api("GET", "/image-uploads").json["items"] == []


def test_an_upload_that_broke_off_is_gone_on_with_where_it_stood(site):
    api = site.api(site.admin())
    number = announce(api, site.root()).json["id"]
    put(api, number, 0, DISK[:PIECE])
    lost = put(api, number, 0, DISK[:PIECE])
    assert (lost.status_int, lost.json["context"]["received"]) == (409, PIECE)
    assert api("GET", f"/image-uploads/{number}").json["received"] == PIECE
    send(api, number, DISK, at=PIECE)
    assert run_all(site, Outside())[0].state == "done"
    with site.work() as work:
        image = images.listing(work)[0]
        assert image.checksum == hashlib.sha256(DISK).hexdigest()


def test_zeros_take_no_room_in_the_library(site):
    content = bytes(16 * MIB)
    api = site.api(site.admin())
    number = announce(api, site.root(), size=len(content)).json["id"]
    send(api, number, content)
    file = library.directory(site.settings) / files(site)[0]
    assert (file.stat().st_size, file.stat().st_blocks * 512 < MIB) == (len(content), True)


@pytest.mark.requirement("KVM-28")
def test_an_iso_is_listed_with_size_and_checksum_and_unregistered(site):
    uploaded(site, ISO, name="Installer", kind="iso")
    browser = site.signed_in(site.admin())
    page = browser.get("/images?kind=iso")
    assert "Installer" in page
    page = page.click("^Installer$")
    assert hashlib.sha256(ISO).hexdigest() in page
    deleted = form(page.click("Delete…")).submit().follow()
    assert "Installer is being deleted" in deleted
    outside = Outside()
    with site.work() as work:
        store_id = work.db.query(StoragePool).one().id
        name = work.db.query(Volume).one().name
    outside.storage(store_id, 1)._make(name, len(ISO))
    assert [one.state for one in run_all(site, outside)] == ["done"]
    assert ">Installer</a>" not in browser.get("/images?kind=iso")
    assert outside.pools[store_id].volumes() == []
    assert files(site) == []
    # The name is free again.
    assert announce(site.api(site.admin()), site.root(), name="Installer").status_int == 201


@pytest.mark.requirement("KVM-28")
def test_what_a_machine_still_needs_is_not_deleted(site):
    image = site.image("Debian 12")
    pool = site.pool("Web")
    with site.work(site.admin()) as work:
        order = machines.Order(
            name="web01", image=images.get(work, image.id), size=sizes.get(work.settings, "tiny")
        )
        machines.create(work, pools.get(work, pool.id), order)
    answer = site.api(site.admin())("DELETE", f"/images/{image.id}")
    assert (answer.status_int, answer.json["code"]) == (409, "object.in_use")
    assert "in use by web01" in answer.json["detail"]


@pytest.mark.requirement("KVM-28")
def test_an_iso_in_a_drive_is_not_unregistered(site):
    uploaded(site, ISO, name="Installer", kind="iso")
    site.image("Debian 12")
    machine = site.machine("web01", site.pool("Web"))
    with site.work() as work:
        image_id = work.db.query(Image).filter_by(name="Installer").one().id
        work.db.add(Medium(machine_id=machine.id, target="hda", image_id=image_id))
    browser = site.signed_in(site.admin())
    page = browser.get(f"/images/{image_id}/delete")
    assert "In use by" in page
    answer = form(page).submit(expect_errors=True)
    assert (answer.status_int, "Eject it there first" in answer) == (409, True)


FORMATS = {
    "qcow2": b"QFI\xfb",
    "vmdk": b"KDMV",
    "vmdk descriptor": b"# Disk DescriptorFile\ncreateType=monolithicFlat",
    "gzip": b"\x1f\x8b\x08",
}


@pytest.mark.parametrize("kind", FORMATS)
def test_fault_32_what_is_not_raw_is_refused_and_nothing_is_left(site, kind):
    ended = uploaded(site, FORMATS[kind] + bytes(MIB))
    assert [(one.state, one.error_code) for one in ended] == [("failed", "image.invalid")]
    assert files(site) == []
    with site.work() as work:
        assert images.listing(work) == []
        assert uploads.listing(work) == []


def test_fault_31_a_disk_that_claims_to_be_an_iso_and_the_reverse_are_refused(site):
    for content, kind in ((DISK, "iso"), (ISO, "disk"), (b"QFI\xfb" + ISO[4:], "iso")):
        ended = uploaded(site, content, kind=kind)
        assert ended[0].error_code == "image.invalid"
    assert files(site) == []


def test_fault_31_another_checksum_than_was_told_is_refused(site):
    ended = uploaded(site, DISK, checksum="ab" * 32)
    assert ended[0].error_code == "image.invalid"
    assert "is not the one that was meant" in ended[0].error_text
    assert files(site) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": 0},
        {"size": 9007199254740992},
        {"name": ""},
        {"checksum": "abc"},
        {"name": "x\ny"},
    ],
)
def test_fault_31_what_cannot_become_an_image_is_refused_at_once(site, wrong):
    before = site.fingerprint()
    answer = announce(site.api(site.admin()), site.root(), **wrong)
    assert answer.status_int in (400, 422), answer.text
    del before["audit"]
    after = site.fingerprint()
    assert {table: after[table] for table in before} == before
    assert files(site) == []


def test_fault_31_an_iso_that_is_cut_off_is_refused(site):
    blocks = (len(ISO) // 2048 + 1).to_bytes(4, "little")
    ended = uploaded(site, ISO[:0x8050] + blocks + ISO[0x8054:], kind="iso")
    assert "is cut off" in ended[0].error_text
    assert files(site) == []


def test_fault_31_a_library_that_fills_up_at_the_end_keeps_what_came(site, monkeypatch):
    api = site.api(site.admin())
    number = announce(api, site.root()).json["id"]
    put(api, number, 0, DISK[:-512])

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(library, "_put", full)
        answer = put(api, number, len(DISK) - 512, DISK[-512:])
        assert (answer.json["code"], "No space left" in answer.text) == ("storage.full", True)
    assert api("GET", f"/image-uploads/{number}").json["received"] == len(DISK) - 512
    send(api, number, DISK, at=len(DISK) - 512)
    assert run_all(site, Outside())[0].state == "done"


def test_fault_31_a_name_that_looks_like_a_path_is_only_a_name(site):
    uploaded(site, ISO, name="../../etc/x", kind="iso")
    with site.work() as work:
        image = images.listing(work)[0]
        assert image.name == "../../etc/x"
        assert library.owns(site.settings, image.source)


def test_a_library_without_room_refuses_before_anything_is_sent(site, monkeypatch):
    monkeypatch.setattr(library, "SPARE", 10**18)
    answer = announce(site.api(site.admin()), site.root())
    assert (answer.json["code"], files(site)) == ("storage.full", [])


def test_pieces_go_nowhere_but_on_and_not_beyond_the_end(site):
    api = site.api(site.admin())
    number = announce(api, site.root(), size=100).json["id"]
    assert put(api, number, 0, b"x" * 101).status_int == 422
    assert put(api, number, 50, b"x").status_int == 409
    assert put(api, number, 0, b"").status_int in (400, 422)
    assert api("GET", f"/image-uploads/{number}").json["received"] == 0


def test_an_upload_is_its_senders_own_and_ends_with_his_right(site):
    pool = site.pool("Web")
    owner = site.user("owner", "Administrator", pool)
    number = announce(site.api(owner), pool).json["id"]
    assert put(site.api(site.admin()), number, 0, b"x").status_int == 404
    browser = site.signed_in(owner)
    assert "Debian 12" in browser.get("/images")
    with site.work() as work:
        work.db.query(Grant).filter_by(user_id=owner.id).delete()
    assert put(site.api(owner), number, 0, b"x").status_int == 403


def test_who_may_only_look_adds_nothing(site):
    pool = site.pool("Web")
    for role in ("User", "Monitor"):
        user = site.user(role.lower(), role, pool)
        assert announce(site.api(user), pool).status_int == 403
        assert "Add an image" not in site.signed_in(user).get("/images")


def test_the_browser_sends_pieces_and_is_led_to_the_check(site):
    browser = site.signed_in(site.admin())
    page = browser.get("/images/new")
    asked = form(page)
    asked["name"], asked["size"], asked["kind"] = "Installer", f"{len(ISO)} B", "iso"
    shown = asked.submit().follow()
    assert "Go on" in shown
    path = shown.request.path
    half = len(ISO) // 2
    more = {"content_type": "application/octet-stream"}
    answer = browser.send(f"{path}/content?at=0", ISO[:half], **more)
    assert answer.json == {"received": half, "then": ""}
    assert "50 %" in browser.get(path)
    last = browser.send(f"{path}/content?at={half}", ISO[half:], **more)
    assert last.json["received"] == len(ISO)
    assert "Check and register Installer" in browser.get(last.json["then"])


def test_an_upload_is_given_up_and_its_file_goes(site):
    api = site.api(site.admin())
    number = announce(api, site.root()).json["id"]
    put(api, number, 0, DISK[:PIECE])
    browser = site.signed_in(site.admin())
    page = browser.get(f"/images/uploads/{number}")
    gone = form(page, f"/images/uploads/{number}/abandon").submit().follow()
    assert "is given up" in gone
    assert files(site) == []
    assert api("GET", f"/image-uploads/{number}").status_int == 404


def test_what_stands_still_for_a_week_is_removed(site):
    announce(site.api(site.admin()), site.root())
    with site.work() as work:
        row = work.db.query(ImageUpload).one()
        row.moved_at -= uploads.KEPT * 2
    with site.work() as work:
        assert uploads.clear(work) == 1
    assert files(site) == []


def test_a_network_boot_entry_is_an_address(site):
    api = site.api(site.admin())
    root = site.root()
    made = api(
        "POST", f"/pools/{root.id}/images", {"name": "pxe", "address": "tftp://10.0.0.5/boot.ipxe"}
    )
    assert (made.status_int, made.json["kind"]) == (201, "network")
    assert made.json["address"] == "tftp://10.0.0.5/boot.ipxe"
    for address in ("javascript:alert(1)", "file:///etc/passwd", "tftp://host"):
        refused = api("POST", f"/pools/{root.id}/images", {"name": "x", "address": address})
        assert refused.status_int == 422
    assert "tftp://10.0.0.5/boot.ipxe" in site.signed_in(site.admin()).get("/images?kind=network")


def test_whom_an_image_serves_can_be_changed(site):
    image = site.image("Debian 12")
    pool, user = site.pool("Web"), site.user("anna", "User", site.pool("Shop"))
    assert "Debian 12" in site.signed_in(user).get("/images")
    page = site.signed_in(site.admin()).get(f"/images/{image.id}/edit")
    asked = form(page)
    asked["pool"] = str(pool.id)
    asked.submit().follow()
    assert "Debian 12" not in site.signed_in(user).get("/images")


def test_a_copy_is_made_and_removed_per_storage_pool(site):
    uploaded(site, DISK)
    with site.work() as work:
        image = work.db.query(Image).one()
        store = work.db.query(StoragePool).one()
    browser = site.signed_in(site.admin())
    page = browser.get(f"/images/{image.id}")
    form(page, f"/images/{image.id}/copies/delete").submit("storage_pool_id").follow()
    outside = Outside()
    assert [one.type for one in run_all(site, outside)] == ["image.copy_delete"]
    page = browser.get(f"/images/{image.id}")
    form(page, f"/images/{image.id}/copies").submit("storage_pool_id").follow()
    assert [(one.type, one.state) for one in run_all(site, outside)] == [("image.copy", "done")]
    assert [one.size for one in outside.pools[store.id].volumes()] == [len(DISK)]


def test_base_images_and_what_installs_are_offered_to_new_machines(site):
    uploaded(site, ISO, name="Installer", kind="iso")
    site.image("Debian 12")
    page = site.signed_in(site.admin()).get(f"/machines/new?pool={site.root().id}")
    assert "Debian 12" in page
    assert "<span>Debian 12<small>" in page
    assert "<span>Installer<small>" in page


def test_fetching_is_a_privilege_of_its_own_and_only_from_allowed_addresses(site):
    root = site.root()
    admin, keeper = site.api(site.admin()), site.user("keeper", "Administrator")
    wish = {"name": "Debian", "url": "https://images.example.org/d12.raw"}
    assert site.api(keeper)("POST", f"/pools/{root.id}/image-fetches", wish).status_int == 403
    refused = admin("POST", f"/pools/{root.id}/image-fetches", wish)
    assert (refused.status_int, refused.json["code"]) == (403, "image.source")
    assert "Fetch it" in site.signed_in(site.admin()).get("/images/fetch")
    assert "/images/fetch" not in site.signed_in(keeper).get("/images/new")
    with site.work() as work:
        assert operations.listing(work, operations.Filter()) == []
