"""Hosts that are too old for the console say so, when they are enrolled and when they are met."""

from __future__ import annotations

from pathlib import Path

import pytest

from ovcadmin.services import host_changes, pools
from tests.integration import demanding
from tests.rig import LibvirtHost
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud


def enrolled(made: Cloud, uri: str):
    """How the look at a new host ended."""
    given = host_changes.Details(name="kvm-a", uri=uri, virt_type="qemu")
    with made.work(write=True) as work:
        _, operation = host_changes.enroll(work, pools.root(work), given)
    return made.ended(operation.id)


@pytest.mark.requirement("OVT-67")
@pytest.mark.timeout(240)
def test_an_old_libvirt_is_refused_by_its_version_and_taken_when_it_is_new_enough(
    tmp_path: Path, sqlite_url: str, libvirt_host: LibvirtHost, starter_image: Path
) -> None:
    with cloud(tmp_path, sqlite_url, libvirt_host, starter_image, local_host="none") as made:
        strict = made.worker(Path(demanding.__file__))
        looked = enrolled(made, libvirt_host.uri)
        version = libvirt_host.virsh("version").split("libvirt ")[1].split()[0]
        why = f"libvirt {version} is too old: the console needs 99.0.0 or newer."
        assert (looked.state, why in looked.error_text) == ("failed", True), looked.error_text
        wait_until(lambda: why in made.host_row().state_reason, "the reason at the host", 60)
        assert made.host_row().state == "unresponsive", "nothing is placed there"
        strict.stop()
        made.worker()
        wait_until(lambda: made.host_row().state == "up", "the host, new enough for this one", 60)
        assert made.host_row().libvirt_version == version
        with made.work(write=True) as work:
            number = host_changes.check(work, work.db.merge(made.host_row())).id
        assert made.ended(number).state == "done"
