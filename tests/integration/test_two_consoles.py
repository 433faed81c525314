"""Two web processes with their gateways on one database, and a worker apart from them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.rig.base import wait_until
from tests.rig.cloud import Cloud
from tests.rig.hypervisor import LibvirtHost
from tests.rig.network import LOOPBACK, free_ports
from tests.rig.served import SECONDS, answers, served, shell_of

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def site(
    tmp_path: Path, postgres_url: str, libvirt_host: LibvirtHost
) -> Iterator[tuple[Cloud, str]]:
    with served(tmp_path, postgres_url, libvirt_host) as found:
        yield found


def second(made: Cloud) -> str:
    """Start another machine's worth of web and gateway; its address."""
    front, web = (f"{LOOPBACK}:{port}" for port in free_ports(2))
    ini = made.variant("second", gateway_listen=front, web_listen=web)
    made.start(sys.executable, "-m", "ovcadmin.manage.web", ini)
    made.start(sys.executable, "-m", "ovcadmin.gateway", ini)
    wait_until(lambda: answers(f"http://{front}"), "the second console", SECONDS)
    return f"http://{front}"


@pytest.mark.requirement("KVM-16", "KVM-17")
def test_two_consoles_are_one_and_work_waits_for_its_worker(
    site: tuple[Cloud, str], tmp_path: Path, libvirt_host: LibvirtHost
) -> None:
    made, one = site
    made.ready()
    worker, web, gateway = made.processes
    machine = made.made("web-1")
    two = second(made)
    ovc = shell_of(made, one, tmp_path / "home")
    there = shell_of(made, two, tmp_path / "other-home")
    worker.kill()  # it notes every few seconds that a host answered
    for noun in ("machines", "pools", "hosts", "images", "operations"):
        assert ovc.json(noun, "list") == there.json(noun, "list"), noun
    with httpx.Client(headers={"Origin": one}, timeout=20) as person:
        form = {"name": "admin", "password": made.password}
        assert person.post(f"{one}/signin", data=form).status_code == 303
        assert "web-1" in person.get(f"{one}/machines").text
        assert "web-1" in person.get(f"{two}/machines").text  # the session is known there too

        started = ovc.json("machines", "start", "web-1")[0]["operation_id"]
        assert there.json("operations", "show", started)["state"] == "queued"
        for page in ("/", "/machines", f"/machines/{machine}", "/hosts", "/operations"):
            assert person.get(one + page).status_code == 200, page

        web.kill()
        gateway.kill()
        assert "web-1" in person.get(f"{two}/machines").text
    order = ("--pool", there.json("pools", "list")[0]["name"], "--image", "1", "--size", "tiny")
    asked = there.json("machines", "create", "web-2", *order)[0]["operation_id"]
    assert there.json("operations", "show", asked)["state"] == "queued"
    made.worker()
    there("operations", "wait", started, asked, "--timeout", SECONDS)
    assert libvirt_host.virsh("list", "--name").split() == [made.machine(machine).domain_name]
    assert len(libvirt_host.virsh("list", "--all", "--name").split()) == 2
