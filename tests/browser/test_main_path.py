"""The main job in a browser, on the whole console with a real libvirt host."""

import re

import pytest

from tests.browser.person import (
    SECONDS,
    badge,
    domain_of,
    make_machine,
    make_pool,
    open_machine,
    open_pool,
    set_quota,
    wait_for_prompt,
    wait_for_state,
)
from tests.browser.site import free_name, sign_in

PASSWORD = "correct horse battery"


@pytest.fixture
def signed_in(running_cloud, page):
    """Signed in to a cloud whose starter image is ready."""
    running_cloud.sign_in(page)
    page.goto(f"{running_cloud.url}/images")
    page.locator("main tbody .badge.running").first.wait_for(timeout=SECONDS)
    return running_cloud, page


def power_cycle(cloud, page, name, domain):
    """Suspend, resume, power off: the page and the host agree each time."""
    page.get_by_role("button", name="Suspend").click()
    wait_for_state(page, "suspended")
    assert cloud.host.virsh("domstate", domain) == "paused"
    page.get_by_role("button", name="Resume").click()
    wait_for_state(page, "running")
    page.get_by_role("link", name="Power off").click()
    page.get_by_role("button", name=f"Power off {name}").click()
    wait_for_state(page, "stopped")
    assert cloud.host.virsh("domstate", domain) == "shut off"


def delete(page, name):
    page.get_by_role("link", name="Remove for good").click()
    page.get_by_label("Type its name").fill(name)
    page.get_by_role("button", name=f"Remove for good {name}").click()
    page.get_by_text(f"Remove for good {name}: accepted.").wait_for()
    page.locator("main td.name", has_text=name).wait_for(state="detached", timeout=SECONDS)


@pytest.mark.timeout(300)
@pytest.mark.requirement(
    "KVM-23", "KVM-24", "KVM-25", "KVM-64", "PEER-10", "OVT-52", "OVT-53", "OVT-54"
)
def test_from_sign_in_to_a_running_guest_and_back(signed_in, complaints):
    cloud, page = signed_in
    pool = make_pool(page, cloud)
    set_quota(page, vCPUs="4", Running_machines="1", Storage="10 GB")
    first = make_machine(page)
    wait_for_state(page, "running")
    domain = domain_of(cloud, page)
    assert cloud.host.virsh("domstate", domain) == "running"

    open_pool(page, pool)
    second = make_machine(page, start=False)
    wait_for_state(page, "stopped")
    page.get_by_role("button", name="Start").click()
    refusal = page.get_by_role("alert")
    refusal.get_by_text(f"{second} does not fit the quota.").wait_for()
    figures = [pool, "running machines", "1", "0", "1", "1", "1"]
    assert refusal.locator("tbody td").all_inner_texts() == figures
    complaints.clear()  # the 409

    open_pool(page, pool)
    open_machine(page, first)
    power_cycle(cloud, page, first, domain)

    # Stopped, it leaves its place to the other one; its storage is still held.
    open_pool(page, pool)
    page.get_by_role("img", name="Running machines: 0 used, of 1").wait_for()
    page.get_by_role("img", name="Storage: 2 GB used, of 10 GB").wait_for()
    open_machine(page, second)
    page.get_by_role("button", name="Start").click()
    wait_for_state(page, "running")

    open_pool(page, pool)
    open_machine(page, first)
    delete(page, first)
    assert domain not in cloud.host.virsh("list", "--all", "--name").split()


def make_user(page, cloud, pool_address):
    """Make a user with the usual role on a pool; return the name."""
    name = free_name("anna")
    page.goto(f"{cloud.url}/users/new")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create the user").click()
    page.get_by_text("is created.").wait_for()
    number = page.url.rpartition("/")[2]
    page.goto(f"{pool_address}/grants/new?who=user-{number}")
    page.locator("main .button.primary").click()
    page.wait_for_url("**/grants")
    return name


@pytest.mark.timeout(300)
@pytest.mark.requirement("KVM-58")
def test_a_user_starts_resets_and_stops_his_own_machine_and_finds_no_other(signed_in, browser):
    cloud, page = signed_in
    make_pool(page, cloud)
    make_machine(page, start=False)
    wait_for_state(page, "stopped")
    foreign = page.url
    make_pool(page, cloud)
    user = make_user(page, cloud, page.url)

    own = browser.new_context().new_page()
    sign_in(own, cloud.url, user, PASSWORD)
    own.goto(page.url.removesuffix("/grants"))
    name = make_machine(own, start=False)
    wait_for_state(own, "stopped")
    domain = domain_of(cloud, own)
    own.get_by_role("button", name="Start").click()
    wait_for_state(own, "running")
    number = cloud.host.virsh("domid", domain)
    own.get_by_role("link", name="Reset…").click()
    own.get_by_role("button", name=f"Reset {name}").click()
    own.get_by_text(f"Reset {name}: accepted.").wait_for()
    wait_for_state(own, "running")
    assert cloud.host.virsh("domid", domain) == number
    own.get_by_role("link", name="Power off").click()
    own.get_by_role("button", name=f"Power off {name}").click()
    wait_for_state(own, "stopped")
    assert cloud.host.virsh("domstate", domain) == "shut off"

    assert own.goto(foreign).status == 404
    token = own.evaluate("document.querySelector('[name=csrf_token]').value")
    for action in ("start", "reset", "power_off"):
        sent = own.request.post(
            f"{foreign}/actions/{action}", form={"csrf_token": token},
            headers={"Origin": cloud.url}, max_redirects=0,
        )  # fmt: skip
        assert sent.status == 404, action
    own.context.close()
    page.goto(foreign)
    wait_for_state(page, "stopped")


@pytest.mark.timeout(200)
@pytest.mark.requirement("KVM-01")
def test_the_host_page_tells_what_really_runs_guests_here(signed_in):
    cloud, page = signed_in
    page.goto(f"{cloud.url}/hosts")
    page.locator("main tbody .badge", has_text="up").wait_for(timeout=SECONDS)
    page.locator("main tbody td.name a").first.click()
    facts = page.locator("main dl").first.inner_text()
    version = cloud.host.virsh("version")
    assert re.search(r"QEMU (\S+)", version).group(1) in facts
    assert re.search(r"libvirt (\d\S+)", version).group(1) in facts
    assert re.search(r"Virtualisation\s+(kvm|qemu) · \w", facts)


@pytest.mark.timeout(200)
@pytest.mark.requirement("KVM-33")
def test_a_guest_shuts_down_cleanly(signed_in):
    cloud, page = signed_in
    make_pool(page, cloud)
    make_machine(page)
    wait_for_state(page, "running")
    page.get_by_role("link", name="Console").click()
    wait_for_prompt(page)
    page.get_by_role("link", name="Overview").click()
    page.get_by_role("button", name="Shut down").click()
    wait_for_state(page, "stopped")


@pytest.mark.timeout(200)
def test_the_console_answers_and_a_reload_keeps_its_scrollback(signed_in):
    cloud, page = signed_in
    make_pool(page, cloud)
    make_machine(page)
    wait_for_state(page, "running")
    page.get_by_role("link", name="Console").click()
    terminal = wait_for_prompt(page)
    page.locator("#console .xterm-helper-textarea").focus()
    page.keyboard.type("uname -a\n")
    terminal.filter(has_text=re.compile(r"Linux \S+ \d")).wait_for(timeout=SECONDS)
    page.reload()
    terminal.filter(has_text=re.compile(r"Linux \S+ \d")).wait_for(timeout=SECONDS)
    page.locator("#console .xterm-helper-textarea").focus()
    page.keyboard.type("echo again-$((40+2))\n")
    terminal.filter(has_text="again-42").wait_for(timeout=SECONDS)


@pytest.mark.timeout(200)
@pytest.mark.requirement("PEER-10", "OVT-48", "OVT-51", "OVT-60")
def test_what_virsh_does_shows_on_open_pages_within_two_seconds(signed_in):
    cloud, page = signed_in
    make_pool(page, cloud)
    name = make_machine(page)
    wait_for_state(page, "running")
    domain = domain_of(cloud, page)
    host_page = page.context.new_page()
    host_page.goto(f"{cloud.url}/hosts")
    host_page.locator("main tbody td.name a").first.click()
    row = host_page.locator("main tr", has=host_page.get_by_role("link", name=name, exact=True))
    row.locator(".badge", has_text="running").wait_for()
    page.wait_for_function("() => !document.documentElement.classList.contains('stale')")
    cloud.host.virsh("destroy", domain)
    badge(page).filter(has_text="stopped").wait_for(timeout=2000)
    row.locator(".badge", has_text="stopped").wait_for(timeout=2000)
    assert page.evaluate("performance.getEntriesByType('navigation').length") == 1


@pytest.mark.timeout(200)
def test_a_console_in_the_drawer_stays_from_page_to_page(signed_in):
    cloud, page = signed_in
    make_pool(page, cloud)
    name = make_machine(page)
    wait_for_state(page, "running")
    page.get_by_role("button", name="Console in the drawer").click()
    terminal = wait_for_prompt(page, "#drawer")
    page.locator("#drawer .xterm-helper-textarea").focus()
    page.keyboard.type("echo kept-$((40+2))\n")
    terminal.filter(has_text="kept-42").wait_for(timeout=SECONDS)
    page.goto(f"{cloud.url}/hosts")
    terminal.filter(has_text="kept-42").wait_for(timeout=SECONDS)
    assert page.get_by_role("tab", name=f"{name} serial").get_attribute("aria-selected") == "true"
    page.get_by_role("button", name=f"Close {name} serial").click()
    terminal.wait_for(state="detached")
    page.goto(f"{cloud.url}/machines")
    assert page.get_by_role("tab").count() == 0


@pytest.mark.timeout(200)
@pytest.mark.requirement("PEER-10", "OVT-60")
def test_a_page_without_its_stream_says_so_and_never_claims_to_be_live(signed_in, complaints):
    cloud, page = signed_in
    page.context.route("**/live/events*", lambda route: route.abort())
    page.goto(f"{cloud.url}/machines")
    page.get_by_text("not live").wait_for()
    page.context.unroute("**/live/events*")
    page.get_by_text("not live").wait_for(state="hidden", timeout=SECONDS)
    complaints.clear()  # the aborted requests
