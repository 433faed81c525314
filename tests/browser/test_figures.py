"""Figures of guests and hosts on open pages, beside what libvirt itself says."""

import re
import time

import pytest

from ovcadmin.domain.amounts import show_memory
from tests.browser.person import SECONDS, domain_of, make_machine, make_pool, wait_for_state
from tests.rig.base import wait_until
from tests.rig.guest import Guest

SLACK = 20
"""Percentage points between two readings of the same load, of stretches that begin elsewhere."""


def shown(page, label):
    spark = page.locator(".spark").filter(has=page.get_by_text(re.compile(rf"^\s*{label}\b")))
    return spark.locator("strong").inner_text()


def percent(page):
    found = re.fullmatch(r"(\d+) %", shown(page, "CPU"))
    return int(found[1]) if found else None


def stats(host, domain):
    """`virsh domstats` as a mapping."""
    lines = host.virsh("domstats", "--cpu-total", "--balloon", domain).splitlines()
    return dict(line.strip().split("=", 1) for line in lines if "=" in line)


def of_libvirt(host, domain):
    """The part of a CPU that the guest takes, in percent, from two readings."""
    first, began = int(stats(host, domain)["cpu.time"]), time.monotonic()
    time.sleep(3)
    second, seconds = int(stats(host, domain)["cpu.time"]), time.monotonic() - began
    return (second - first) / 1e7 / seconds


def memory_of(told):
    if "balloon.unused" in told:
        return int(told["balloon.available"]) - int(told["balloon.unused"])
    return int(told["balloon.rss"])


@pytest.mark.timeout(400)
@pytest.mark.requirement("OVT-31", "OVT-32")
def test_figures_of_guest_and_host_follow_on_open_pages_and_are_those_of_libvirt(
    running_cloud, page
):
    running_cloud.sign_in(page)
    page.goto(f"{running_cloud.url}/images")
    page.locator("main tbody .badge.running").first.wait_for(timeout=SECONDS)
    make_pool(page, running_cloud)
    make_machine(page)
    wait_for_state(page, "running")
    domain, host = domain_of(running_cloud, page), running_cloud.host
    guest = Guest(host, domain)
    assert guest.run("nproc") == "1"
    host_page = page.context.new_page()
    host_page.goto(f"{running_cloud.url}/hosts")
    host_page.locator("main tbody td.name a").first.click()
    host_page.locator(".spark").first.wait_for()

    guest.run("yes > /dev/null & echo $! > /tmp/busy")
    wait_until(
        lambda: (seen := percent(page)) and abs(seen - of_libvirt(host, domain)) < SLACK < seen,
        "the load of the guest",
        90,
    )
    wait_until(lambda: (percent(host_page) or 0) > SLACK, "the load of the host", 90)
    guest.run("kill $(cat /tmp/busy)")
    wait_until(lambda: (percent(page) or 100) < SLACK, "a guest that rests", 90)

    wait_until(
        lambda: shown(page, "Memory") == show_memory(memory_of(stats(host, domain))),
        "the guest's memory as libvirt has it",
        90,
    )
    assert re.search(r"\d", shown(host_page, "Memory"))
    for one in (page, host_page):
        assert one.evaluate("performance.getEntriesByType('navigation').length") == 1
