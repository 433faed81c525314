"""Chromium walks the guided tutorials as their readers do, on a real host."""

from __future__ import annotations

import re

import pytest

from ovcadmin.services import cloud_init
from tests.browser.person import SECONDS, make_machine, make_pool, wait_for_prompt, wait_for_state
from tests.browser.site import free_name


@pytest.fixture
def learner(running_cloud, page):
    running_cloud.sign_in(page)
    page.goto(f"{running_cloud.url}/images")
    page.locator("main tbody .badge.running").first.wait_for(timeout=SECONDS)
    return running_cloud, page


def begin(page, cloud, path):
    """Begin a tutorial; what it says is done from now on counts."""
    page.goto(f"{cloud.url}/tutorials/{path}")
    page.get_by_role("button", name=re.compile("^Begin")).click()
    page.get_by_text("It follows you now").wait_for()


def done(page, cloud, path, count):
    """Go back to the tutorial, and wait until so many marks are set, by themselves."""
    page.goto(f"{cloud.url}/tutorials/{path}")
    page.locator(".tour .tick.done").nth(count - 1).wait_for(timeout=SECONDS)
    assert page.locator(".tour .tick.done").count() == count


def send_iso(page, cloud, file):
    """Send an installation ISO, and wait until machines can be made from it."""
    page.goto(f"{cloud.url}/images/new")
    page.locator("#upload-file").set_input_files(file)
    page.get_by_label("Name", exact=True).fill(file.stem)
    page.get_by_label("Kind").select_option("iso")
    page.get_by_label("Guest").select_option("windows")
    page.get_by_role("button", name="Send it").click()
    page.get_by_role("heading", name=file.stem).wait_for(timeout=SECONDS)
    page.goto(f"{cloud.url}/images")
    row = page.locator("tr", has=page.get_by_role("link", name=file.stem, exact=True))
    row.locator(".badge.running", has_not_text="copying").wait_for(timeout=SECONDS)


def press(page, label, answer, nth=0):
    """Press a button of the article, and answer its question."""
    page.locator(".tour").get_by_role("link", name=label, exact=True).nth(nth).click()
    page.locator("main").get_by_role("button", name=answer, exact=True).click()
    page.get_by_text("accepted.").first.wait_for()


def choose_pool(page, pool):
    """Of several pools one is asked which; of one, not."""
    if page.get_by_role("heading", name="Which one?").is_visible():
        page.locator("main").get_by_role("link", name=pool, exact=True).click()


@pytest.mark.timeout(400)
@pytest.mark.requirement("NEW-08", "NEW-12", "OVT-50")
def test_the_first_linux_machine_from_the_form_to_its_end(learner):
    cloud, page = learner
    path, pool, name = "tutorials/first-linux-machine", make_pool(page, cloud), free_name("first")
    begin(page, cloud, path)
    page.locator(".tour").get_by_role("link", name="Open the form").click()
    choose_pool(page, pool)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("tiny").check()
    page.get_by_role("button", name="Create the machine").click()
    page.get_by_text(f"{name} is being created").wait_for()
    done(page, cloud, path, 2)
    page.locator(".tour").get_by_role("link", name="Open its console").click()
    terminal = wait_for_prompt(page)
    page.locator("#console .xterm-helper-textarea").focus()
    page.keyboard.type("boots\n")
    terminal.filter(has_text=re.compile(r"# boots\s*1")).wait_for(timeout=SECONDS)
    done(page, cloud, path, 3)
    press(page, "Shut it down", "Shut down")
    done(page, cloud, path, 4)
    press(page, "Start it", "Start")
    done(page, cloud, path, 5)
    page.locator(".tour").get_by_role("link", name="Open its console").click()
    wait_for_prompt(page)
    page.locator("#console .xterm-helper-textarea").focus()
    page.keyboard.type("boots\n")
    terminal.filter(has_text=re.compile(r"# boots\s*2")).wait_for(timeout=SECONDS)
    page.goto(f"{cloud.url}/tutorials/{path}")
    press(page, "Shut it down", "Shut down", nth=1)
    done(page, cloud, path, 6)
    page.locator("main .facts").get_by_role("link", name=name).click()
    page.get_by_role("link", name="Delete…").click()
    page.get_by_label("Type its name").fill(name)
    page.get_by_role("button", name=f"Delete {name}").click()
    page.get_by_text("accepted.").first.wait_for()
    done(page, cloud, path, 7)
    page.get_by_text("You are through.").wait_for()


@pytest.mark.timeout(400)
def test_the_first_windows_machine_with_another_iso_in_its_place(learner, tmp_path):
    """Windows itself cannot be shipped; all that the console does for it is the same."""
    cloud, page = learner
    path, pool = "tutorials/first-windows-machine", make_pool(page, cloud)
    name, image = free_name("office"), free_name("Windows Server")
    for iso in (image, free_name("virtio-win")):
        (tmp_path / f"{iso}.iso").write_bytes(cloud_init.disc({"name": iso}))
        send_iso(page, cloud, tmp_path / f"{iso}.iso")
    begin(page, cloud, path)
    page.locator(".tour").get_by_role("link", name="Open the form").click()
    choose_pool(page, pool)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label(image).check()
    page.get_by_label("tiny").check()
    page.get_by_role("button", name="Create the machine").click()
    page.get_by_text(f"{name} is being created").wait_for()
    done(page, cloud, path, 2)
    page.locator(".tour").get_by_role("link", name="Open its console").click()
    page.get_by_role("tab", name="Screen").click()
    page.locator("#screen canvas").wait_for(timeout=SECONDS)
    assert page.get_by_role("button", name="Ctrl-Alt-Del").is_visible()
    done(page, cloud, path, 3)
    page.get_by_text("You are through.").wait_for()
    xml = cloud.host.virsh("list", "--name").split()
    machines = [cloud.host.virsh("dumpxml", domain) for domain in xml]
    (windows,) = [one for one in machines if "offset='localtime'" in one]
    assert "type='tablet'" in windows
    drives = re.findall(r"device='cdrom'>.*?</disk>", windows, re.DOTALL)
    assert ["<source" in one for one in drives] == [True, True], "installer and drivers"


@pytest.mark.timeout(300)
@pytest.mark.requirement("NEW-12")
def test_the_console_and_a_token_for_a_script(learner):
    cloud, page = learner
    make_pool(page, cloud)
    make_machine(page)
    wait_for_state(page, "running")
    path = "tutorials/console"
    begin(page, cloud, path)
    page.locator(".tour").get_by_role("link", name="Open its console").click()
    if page.get_by_role("heading", name="Which one?").is_visible():
        page.locator("main .articles a").first.click()
    wait_for_prompt(page)
    done(page, cloud, path, 1)

    path = "tutorials/rest-api"
    begin(page, cloud, path)
    page.locator(".tour").get_by_role("link", name="Open your tokens").click()
    page.get_by_label("Name", exact=True).fill(free_name("script"))
    page.get_by_role("button", name="Create a token").click()
    page.get_by_text("ovc_").first.wait_for()
    done(page, cloud, path, 1)


@pytest.mark.timeout(120)
@pytest.mark.requirement("PEER-25")
def test_a_call_of_the_api_page_is_sent_in_the_readers_name(learner, complaints):
    cloud, page = learner
    page.goto(f"{cloud.url}/api#getSession")
    call = page.locator("#getSession")
    call.get_by_role("button", name="Send").click()
    answer = call.locator(".answer pre")
    answer.wait_for()
    page.get_by_label("Find a call").fill("make under pool")
    assert page.locator(".call:visible").evaluate_all("all => all.map(one => one.id)") == [
        "createPool"
    ]
    page.get_by_role("link", name="sessions", exact=True).click()
    page.get_by_text("Your sessions in browsers").wait_for()
    assert '"admin@internal"' in answer.inner_text() or "admin" in answer.inner_text()
    assert "200 in" in call.locator(".answer p").first.inner_text()
    # A change carries the page's own token; an answer that refuses is shown like any other.
    call, name = page.locator("#createPool"), free_name("api")
    call.locator("summary").click()
    call.locator("#createPool-path-id").fill("1")
    call.locator("#createPool-body").fill(f'{{"name": "{name}"}}')
    for status, word in (("201", name), ("409", "name.taken")):
        call.get_by_role("button", name="Send: this changes something").click()
        call.locator(".answer p", has_text=f"{status} in").wait_for()
        assert word in call.locator(".answer pre").inner_text()
    told = call.locator(".answer").get_by_role("link", name="name.taken")
    assert told.get_attribute("href") == "/help/errors/name.taken"
    assert all("409 (Conflict)" in said for said in complaints)  # that is what was asked for
    complaints.clear()
    outside = page.evaluate(
        "performance.getEntriesByType('resource').filter(e => !e.name.startsWith(origin)).length"
    )
    assert outside == 0
