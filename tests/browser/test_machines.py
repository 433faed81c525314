"""Machines in pages: filters, paging, bulk actions, refusals, confirmations."""

import pytest

from ovcadmin.domain.states import State
from ovcadmin.services import machine_states, machines, quotas


def names(page):
    return page.locator("table.machines td.name").all_inner_texts()


def test_the_filter_is_words_and_lives_in_the_address(furnished_site, page):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/machines")
    page.get_by_role("searchbox", name="Filter machines").fill("state:running host:kvm-a web")
    page.get_by_role("button", name="Filter", exact=True).click()
    page.wait_for_url("**q=state*")
    assert names(page) == ["web01"]
    with site.world.work() as work:
        mac = machines.get(work, sample.machines["db-main"].id).nics[0].mac
    page.goto(f"{site.url}/machines?q={mac}")
    assert names(page) == ["db-main"]
    page.goto(f"{site.url}/machines?q=colour:red")
    page.get_by_text("colour:red is no filter").wait_for()
    page.goto(f"{site.url}/machines?q=nothing-of-the-kind")
    page.get_by_text("No machine fits this filter.").wait_for()
    page.get_by_role("link", name="Show all machines").click()
    page.wait_for_url("**/machines")
    assert len(names(page)) == 7


def test_a_click_on_a_heading_sorts_and_another_turns_it_round(furnished_site, page):
    site, _ = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/machines")
    page.get_by_role("link", name="Memory").click()
    page.wait_for_url("**sort=memory")
    assert names(page)[-1] == "build-01"
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("Memory")
    page.get_by_role("link", name="Memory").click()
    page.wait_for_url("**sort=-memory")
    assert names(page)[0] == "build-01"


def test_long_lists_come_in_pages_of_fifty(empty_site, page):
    world = empty_site.world
    world.host()
    world.image()
    lab = world.pool("Lab")
    for number in range(52):
        world.machine(f"lab-{number:02}", lab)
    empty_site.sign_in(page)
    page.goto(f"{empty_site.url}/machines")
    assert len(names(page)) == 50
    page.get_by_text("1–50 of 52").wait_for()
    page.get_by_role("link", name="Next").click()
    page.wait_for_url("**page=2")
    assert names(page) == ["lab-50", "lab-51"]


@pytest.mark.requirement("PEER-12")
def test_a_bulk_action_answers_for_each_machine_by_itself(furnished_site, page):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/pools/{sample.pool.id}")
    shut_down = page.get_by_role("button", name="Shut down")
    assert shut_down.is_disabled()
    for name in ("web01", "build-01", "win-print"):
        page.get_by_label(f"Select {name}").check()
    page.get_by_text("3 selected").wait_for()
    shut_down.click()
    page.get_by_text("1 of 3 accepted.").wait_for()
    told = {
        row.locator("td").nth(0).inner_text(): row.inner_text()
        for row in page.locator("main tbody tr").all()
    }
    assert "accepted" in told["web01"]
    assert "machine.state" in told["build-01"]
    assert "host.unresponsive" in told["win-print"]


@pytest.mark.requirement("PEER-12")
def test_a_bulk_action_that_loses_something_names_it_first(furnished_site, page):
    site, _sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/machines")
    page.get_by_label("Select build-01").check()
    page.get_by_label("Select mail").check()
    page.get_by_text("More", exact=True).click()
    page.get_by_role("button", name="Remove for good…").click()
    page.get_by_text("The machine build-01").wait_for()
    page.get_by_text("The machine mail").wait_for()
    page.get_by_role("button", name="Remove for good 2 machines").click()
    page.get_by_text("2 of 2 accepted.").wait_for()


def test_deleting_one_machine_asks_for_its_name(furnished_site, page, complaints):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/machines/{sample.machines['build-01'].id}")
    page.get_by_role("link", name="Delete…").click()
    page.get_by_text("The machine build-01").wait_for()
    page.get_by_label("Type its name").fill("build-02")
    page.get_by_role("button", name="Delete build-01").click()
    page.get_by_text("Type build-01 to confirm.").wait_for()
    complaints.clear()  # the 422
    page.get_by_label("Type its name").fill("build-01")
    page.get_by_role("button", name="Delete build-01").click()
    page.get_by_text("Delete build-01: accepted.").wait_for()


@pytest.mark.requirement("OVT-58", "OVT-77")
def test_a_quota_is_set_in_units_and_shown_as_bars(furnished_site, page):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/pools/{sample.pool.id}")
    page.get_by_role("link", name="Quota", exact=True).click()
    fields = {
        "vCPUs": "16",
        "Memory": "1.5 TiB",
        "NICs": "",
        "Running machines": "9",
        "Protected": "0",
        "Storage": "2 TB",
    }
    for label, text in fields.items():
        page.get_by_role("textbox", name=label).fill(text)
    page.get_by_role("button", name="Set the quota").click()
    page.get_by_text("The quota of Web is set.").wait_for()
    spoken = [
        bar.get_attribute("aria-label")
        for bar in page.get_by_role("region", name="Quota").get_by_role("img").all()[:6]
    ]
    assert spoken[0] == "vCPUs: 7 used, of 16"
    assert spoken[1].endswith("of 1.5 TiB")
    assert spoken[2].endswith("no limit here")
    assert spoken[3] == "Running machines: 4 used, of 9"
    assert spoken[5].endswith("of 2 TB")


def test_fault_08_a_bad_limit_is_told_beside_its_field_and_nothing_is_lost(
    furnished_site, page, complaints
):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/pools/{sample.pool.id}/quota")
    page.get_by_role("textbox", name="vCPUs").fill("-1")
    page.get_by_role("textbox", name="Memory").fill("٣ GiB")
    page.get_by_role("textbox", name="Storage").fill("3 TB")
    page.get_by_role("button", name="Set the quota").click()
    vcpus = page.get_by_role("textbox", name="vCPUs")
    vcpus.and_(page.locator("[aria-invalid=true]")).wait_for()
    assert "digits 0 to 9" in page.locator("#field-vcpus-error").inner_text()
    assert "number and a unit" in page.locator("#field-memory-error").inner_text()
    assert page.get_by_role("textbox", name="Storage").input_value() == "3 TB"
    with site.world.work() as work:
        assert quotas.levels(work, sample.pool)[0].limits.vcpus == 12
    complaints.clear()  # the 422


@pytest.mark.requirement("KVM-64", "OVT-39", "OVT-52", "NEW-01")
def test_an_owner_sees_his_own_tree_is_refused_with_the_figures_asks_and_is_given(
    furnished_site, page, complaints
):
    """Olga owns Web, with a host and a storage pool of its own; the cloud gives her more."""
    site, sample = furnished_site
    site.world.host("kvm-web", sample.pool)
    site.world.user("olga", "Super Admin", sample.pool)
    site.sign_in(page, "olga")
    for address, own in (("pools", "Web"), ("hosts", "kvm-web"), ("storage", "kvm-web-local")):
        page.goto(f"{site.url}/{address}")
        assert page.locator("main tbody td.name a").all_inner_texts() == [own]
    assert "Engineering" not in page.locator("#nav").inner_text()
    machine = f"{site.url}/machines/{sample.machines['build-01'].id}"
    page.goto(machine)
    page.get_by_role("button", name="Start").click()
    refusal = page.get_by_role("alert")
    refusal.get_by_text("build-01 does not fit the quota.").wait_for()
    cells = refusal.locator("tbody td").all_inner_texts()
    assert cells == ["Web", "running machines", "4", "0", "1", "4", "1"]
    article = refusal.get_by_role("link", name="quota.exceeded")
    assert article.get_attribute("href").endswith("/help/errors/quota.exceeded")
    with site.world.work() as work:
        assert machines.get(work, sample.machines["build-01"].id).stable is State.STOPPED
    complaints.clear()  # the 409
    refusal.get_by_role("button", name="Ask the owner of Web for 1 running machine more").click()
    page.get_by_text("open", exact=True).first.wait_for()

    page.context.clear_cookies()
    site.sign_in(page)
    page.goto(f"{site.url}/requests")
    page.get_by_role("link", name="Decide", exact=True).click()
    page.get_by_role("button", name="Set these limits").click()
    page.get_by_text("The quota of Web is raised").wait_for()

    page.context.clear_cookies()
    site.sign_in(page, "olga")
    page.goto(machine)
    page.get_by_role("button", name="Start").click()
    page.get_by_text("Start build-01: accepted.").wait_for()


def test_the_form_shows_before_sending_what_a_machine_would_take(furnished_site, page):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/machines/new?pool={sample.pool.id}")
    gauges = page.locator("#gauges")
    gauges.get_by_role("img", name="vCPUs: 7 used, 1 more by this, of 12").wait_for()
    page.get_by_label("large").check()
    gauges.get_by_role("img", name="vCPUs: 7 used, 4 more by this, of 12").wait_for()
    gauges.get_by_text("running machines in Web are 1 short").wait_for()
    gauges.get_by_text("kvm-a has room").wait_for()
    gauges.get_by_text("kvm-b does not answer").wait_for()
    page.get_by_label("Start it").uncheck()
    gauges.get_by_text("running machines in Web are 1 short").wait_for(state="detached")


def test_fault_21_a_name_with_markup_is_text_everywhere(empty_site, page):
    world = empty_site.world
    pool = world.pool("<script>alert(1)</script>")
    world.host()
    world.image()
    made = world.machine("{{7*7}}<img src=x onerror=alert(2)>", pool)
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    empty_site.sign_in(page)
    for address in ("/", "/pools", f"/pools/{pool.id}", f"/machines/{made.id}", "/operations"):
        page.goto(empty_site.url + address)
        assert page.locator("img[src=x]").count() == 0
    page.goto(f"{empty_site.url}/machines/{made.id}")
    assert page.locator("h1").inner_text() == "{{7*7}}<img src=x onerror=alert(2)>"


def test_empty_pages_say_why_and_what_next(empty_site, page):
    empty_site.world.user("bert", "Monitor")
    empty_site.sign_in(page)
    page.goto(f"{empty_site.url}/machines")
    page.locator("main").get_by_text("No machines yet.").wait_for()
    assert page.locator(".empty").get_by_role("link", name="New machine").count() == 1
    page.context.clear_cookies()
    empty_site.sign_in(page, "bert")
    page.goto(f"{empty_site.url}/machines")
    page.get_by_text("that needs the privilege “create”").wait_for()
    assert page.get_by_role("link", name="New machine").count() == 0


@pytest.mark.requirement("PEER-10", "PEER-12")
def test_a_list_that_follows_changes_keeps_what_is_ticked_and_typed(furnished_site, page):
    site, sample = furnished_site
    site.sign_in(page)
    page.goto(f"{site.url}/pools/{sample.pool.id}")
    page.get_by_label("Select web01").check()
    page.get_by_role("searchbox", name="Filter machines").fill("half typed")
    row = page.locator("table.machines tr", has_text="db-main")
    row.locator(".badge", has_text="suspended").wait_for()
    with site.world.work() as work:
        machine = machines.get(work, sample.machines["db-main"].id)
        machine_states.enter(work, machine, State.STOPPED)
    row.locator(".badge", has_text="stopped").wait_for()
    assert page.get_by_label("Select web01").is_checked()
    assert page.get_by_role("searchbox", name="Filter machines").input_value() == "half typed"
    page.get_by_text("1 selected").wait_for()
    page.get_by_role("img", name="Running machines: 3 used, of 4").wait_for()


def test_the_tree_is_filtered_while_one_types_and_remembers_what_is_closed(furnished_site, page):
    site, _ = furnished_site
    site.sign_in(page)
    tree = page.get_by_role("complementary", name="Pools")
    page.get_by_role("searchbox", name="Filter pools").fill("res")
    assert tree.get_by_role("link").all_inner_texts() == ["Cloud", "Engineering", "Research"]
    page.get_by_role("searchbox", name="Filter pools").fill("")
    assert tree.get_by_role("link", name="Web").is_visible()
    tree.locator("summary", has_text="Pools in Engineering").click()
    assert not tree.get_by_role("link", name="Web").is_visible()
    page.goto(f"{site.url}/hosts")
    assert not tree.get_by_role("link", name="Web").is_visible()
    tree.get_by_role("link", name="Engineering").click()
    page.get_by_role("heading", name="Engineering", exact=True).wait_for()
    assert tree.get_by_role("link", name="Web").is_visible()
