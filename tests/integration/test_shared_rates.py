"""A pool's limits shared by its machines on a real host: divided, in the XML, and measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ovcadmin.domain.rates import Rates
from ovcadmin.domain.states import Action
from ovcadmin.services import pools, rates
from tests import rig
from tests.integration.test_cpu_limits import busy
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.guest import Guest

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def made(tmp_path: Path, sqlite_url: str, starter_image: Path) -> Iterator[Cloud]:
    with (
        rig.libvirt_host("shared", limits_cpu=True) as host,
        cloud(tmp_path, sqlite_url, host, starter_image) as found,
    ):
        found.worker()
        found.ready()
        yield found


def limit(made: Cloud, **limits: int) -> None:
    with made.work(write=True) as work:
        rates.set_rates(work, pools.root(work), Rates(**limits))


def given(made: Cloud, domain: str, *options: str) -> tuple[int, int, int]:
    """CPU quota in microseconds, bytes and operations a second, by the XML of the domain."""
    text = made.host.virsh("dumpxml", domain, *options)
    found = [re.search(rf"<{name}>(-?\d+)</{name}>", text) for name in NAMES]
    return tuple(int(one[1]) if one else 0 for one in found)  # type: ignore[return-value]


NAMES = ("global_quota", "total_bytes_sec", "total_iops_sec")


def gets(made: Cloud, domain: str, *wanted: int) -> None:
    """Wait until the running guest and its definition have these."""
    for options in ((), ("--inactive",)):
        wait_until(
            lambda options=options: given(made, domain, *options) == wanted,  # type: ignore[misc]
            f"{domain} with {wanted}",
            60,
        )


@pytest.mark.requirement("OVT-64")
def test_two_machines_share_and_the_measured_rate_follows(made: Cloud) -> None:
    first = made.machine(made.made("web01", start=True))
    second = made.machine(made.made("web02", start=True))
    Guest(made.host, first.domain_name).run("(while :; do :; done) & true")
    limit(made, cpu=20, byte_rate=8_000_000, iops=300)
    for machine in (first, second):
        gets(made, machine.domain_name, 10_000, 4_000_000, 150)
    assert busy(first.uuid) < 0.15
    made.act(second.id, Action.POWER_OFF)
    made.settled(second.id)
    gets(made, first.domain_name, 20_000, 8_000_000, 300)
    assert 0.15 < busy(first.uuid) < 0.28
    # It starts with what it had, and both share again.
    made.act(second.id, Action.START)
    made.settled(second.id)
    gets(made, first.domain_name, 10_000, 4_000_000, 150)
    gets(made, second.domain_name, 10_000, 4_000_000, 150)
    limit(made)
    wait_until(lambda: given(made, first.domain_name)[1:] == (0, 0), "no limits", 60)
    wait_until(lambda: given(made, first.domain_name)[0] <= 0, "no CPU limit", 60)
