"""Hosts behind TLS: a real libvirtd that listens with certificates of an authority of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ovcadmin.domain.states import Action
from ovcadmin.models import OperationState
from ovcadmin.services import host_changes, pools
from tests.integration.test_remote_hosts import log, with_storage
from tests.rig.base import wait_until
from tests.rig.cloud import Cloud, cloud
from tests.rig.tls import TlsHost, tls_host

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[TlsHost]:
    with tls_host(tmp_path / "tls") as made:
        yield made


@pytest.fixture
def made(tmp_path: Path, sqlite_url: str, starter_image: Path, server: TlsHost) -> Iterator[Cloud]:
    """A console on a machine that is no host itself; `pki` leads to its certificates."""
    pki = tmp_path / "pki"
    settings = {"local_host": "none", "libvirt_certificates": pki}
    with cloud(tmp_path, sqlite_url, server.host, starter_image, **settings) as console:
        pki.symlink_to(server.client)
        console.worker()
        yield console


def uses(made: Cloud, certificates: Path) -> None:
    """Let the worker prove itself by others from now on."""
    place = made.directory / "pki"
    place.unlink()
    place.symlink_to(certificates)


def looked(made: Cloud) -> str:
    """Try the way to the enrolled host; why it does not work, blank when it does."""
    with made.work(write=True) as work:
        operation = host_changes.check(work, made.host_row()).id
    ended = made.ended(operation)
    return "" if ended.state == OperationState.DONE else ended.error_text


def test_a_machine_lives_on_a_host_that_only_tls_reaches(
    made: Cloud, server: TlsHost, starter_image: Path
) -> None:
    given = host_changes.Details(name="far", uri=server.uri, virt_type="qemu")
    with made.work(write=True) as work:
        _, operation = host_changes.enroll(work, pools.root(work), given)
    found = made.ended(operation.id)
    assert found.state == OperationState.DONE, found.error_text
    told = log(made, found)
    assert f"answers on {server.host.name}" in told
    assert "pki" not in told
    wait_until(lambda: made.host_row().state == "up", "the host up")
    with_storage(made, server.host.images / "far", starter_image)
    machine_id = made.made("web01", start=True)
    machine = made.machine(machine_id)
    assert server.host.virsh("domstate", machine.domain_name) == "running"
    server.host.virsh("suspend", machine.domain_name)
    made.shows(machine_id, "suspended", seconds=10)
    made.act(machine_id, Action.POWER_OFF)
    made.act(machine_id, Action.DELETE)
    wait_until(lambda: server.host.virsh("list", "--all", "--name") == "", "no domain left")


UNFIT = (
    ("foreign", "foreign", ("verify peer's certificate", "name the host as in the address")),
    ("foreign", "ca", ("certificate", "signed by the CA beside it")),
    ("foreign", "both", ("the host does not take the worker's certificate",)),
    ("ca", "nobody", ("Cannot read CA certificate", "needs cacert.pem, clientcert.pem")),
)
"""Who signed the worker's certificate, whom the worker believes, and what is said of it."""


def test_certificates_that_do_not_fit_are_explained(made: Cloud, server: TlsHost) -> None:
    given = host_changes.Details(name="far", uri=server.uri, virt_type="qemu")
    with made.work(write=True) as work:
        _, operation = host_changes.enroll(work, pools.root(work), given)
    assert made.ended(operation.id).state == OperationState.DONE
    for number, (authority, believes, words) in enumerate(UNFIT):
        uses(made, server.client_of(f"other{number}", authority=authority, believes=believes))
        told = looked(made)
        for word in words:
            assert word in told
        assert "pkipath" not in told
    uses(made, server.client)
    assert looked(made) == ""
    server.is_called("DNS:elsewhere.example.org")
    assert "name the host as in the address" in looked(made)
