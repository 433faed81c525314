"""Back, and the same form again: nothing is made twice, and what was typed is still there."""

from __future__ import annotations

import pytest

from ovcadmin.models import Machine, Operation

AGAIN = "You had sent this already"


@pytest.fixture
def office(empty_site, page):
    """Pages on a cloud with one host and one image, which the administrator looks at."""
    world = empty_site.world
    world.host()
    world.image()
    empty_site.sign_in(page)
    return empty_site


def count(site, model, **where) -> int:
    with site.world.work() as work:
        return work.db.query(model).filter_by(**where).count()


def create(page):
    page.get_by_role("button", name="Create the machine").click()


def field(page, label):
    return page.get_by_label(label, exact=True)


def wait_for_typed(page, **typed):
    """Until the fields hold this: they are filled after the page has come."""
    for label, value in typed.items():
        page.wait_for_function(
            "([id, value]) => document.getElementById(id).value === value",
            arg=[field(page, label).get_attribute("id"), value],
        )


def test_fault_22_back_and_create_again_makes_one_machine_and_keeps_what_was_typed(office, page):
    page.goto(f"{office.url}/machines/new?pool=1")
    field(page, "Name").fill("web01")
    field(page, "Description").fill("The shop,\nand its stock")
    page.get_by_label("small").check()
    field(page, "Start it").uncheck()
    page.get_by_text("First boot (cloud-init)").click()
    field(page, "User").fill("anna")
    create(page)
    page.get_by_text("web01 is being created").wait_for()
    machine = page.url

    page.go_back()
    wait_for_typed(page, Name="web01", Description="The shop,\nand its stock", User="anna")
    assert page.get_by_label("small").is_checked()
    assert not field(page, "Start it").is_checked()
    create(page)
    page.get_by_text(AGAIN).wait_for()
    assert page.url == machine
    assert count(office, Machine) == 1

    # Another name is another machine, by the same way back.
    page.go_back()
    wait_for_typed(page, Name="web01")
    field(page, "Name").fill("web02")
    create(page)
    page.get_by_text("web02 is being created").wait_for()
    assert count(office, Machine) == 2


def test_fault_22_back_to_a_form_that_was_refused_first_shows_it_as_it_was_mended(
    office, page, complaints
):
    office.world.machine("web01", office.world.root())
    page.goto(f"{office.url}/machines/new?pool=1")
    field(page, "Name").fill("web01")
    create(page)
    page.get_by_text("There is already a machine web01").first.wait_for()
    field(page, "Name").fill("web02")
    create(page)
    page.get_by_text("web02 is being created").wait_for()
    page.go_back()
    wait_for_typed(page, Name="web02")
    create(page)
    page.get_by_text(AGAIN).wait_for()
    assert count(office, Machine) == 2
    complaints.clear()  # of the answer 409


def test_fault_22_back_and_add_again_adds_one_drive(office, page):
    """No name would refuse the second: two drives of one size are nothing unusual."""
    machine = office.world.machine("web01", office.world.root())
    page.goto(f"{office.url}/machines/{machine.id}/drives/new")
    add = page.get_by_role("button", name="Add the drive")
    field(page, "Size").fill("20 GB")
    field(page, "For swap").check()
    add.click()
    page.wait_for_url(lambda url: not url.endswith("/new"))
    asked = {"type": "machine.drive_add", "machine_id": machine.id}
    assert count(office, Operation, **asked) == 1
    page.go_back()
    wait_for_typed(page, Size="20 GB")
    assert field(page, "For swap").is_checked()
    add.click()
    page.get_by_text(AGAIN).wait_for()
    assert count(office, Operation, **asked) == 1

    # Whoever opens the form anew means another one.
    page.goto(f"{office.url}/machines/{machine.id}/drives/new")
    assert field(page, "Size").input_value() == ""
    field(page, "Size").fill("20 GB")
    field(page, "For swap").check()
    add.click()
    page.wait_for_url(lambda url: not url.endswith("/new"))
    assert count(office, Operation, **asked) == 2


def test_fault_22_what_was_typed_is_nowhere_when_one_has_signed_out(office, page):
    page.goto(f"{office.url}/machines/new?pool=1")
    field(page, "Name").fill("web01")
    page.get_by_text("First boot (cloud-init)").click()
    field(page, "More cloud-config").fill("password: secret")
    create(page)
    page.get_by_text("web01 is being created").wait_for()
    kept = "Object.values(sessionStorage).join()"
    assert "secret" in page.evaluate(kept)
    page.locator("form[action$='/signout'] button").first.evaluate("button => button.click()")
    page.get_by_label("User name").wait_for()
    assert "secret" not in page.evaluate(kept)


def test_a_form_asks_only_for_what_the_chosen_kind_needs_and_back_finds_it_so(office, page):
    """The storage pool that the host could not reach: Back, and what was typed is mended."""
    page.goto(f"{office.url}/storage/new")
    server, initiator = field(page, "Server"), field(page, "Initiator")
    assert field(page, "Directory").is_visible()
    assert not server.is_visible()
    field(page, "Kind").select_option(label="iSCSI (QEMU logs in)")
    assert not field(page, "Directory").is_visible()
    field(page, "Name").fill("luns")
    server.fill("10.0.0.9")
    field(page, "Export, target or device").fill("iqn.2026-11.test:store")
    initiator.fill("iqn.2026-11.test:console")
    page.get_by_role("button", name="Try and add it").click()
    page.get_by_text("luns is being tried").wait_for()
    assert count(office, Operation, type="storage.connect") == 1
    page.go_back()
    wait_for_typed(page, Server="10.0.0.9", Initiator="iqn.2026-11.test:console")
    assert initiator.is_visible()
    assert not field(page, "Directory").is_visible()
