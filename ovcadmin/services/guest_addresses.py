"""Addresses of guests, as the DHCP servers of the hosts' networks gave them out.

A guest on QEMU's user-mode network has none that anybody could ask for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import select

from ovcadmin.domain import guest_words
from ovcadmin.drivers.hypervisor.base import Lease
from ovcadmin.models import GuestAddress, Machine, Nic
from ovcadmin.models.database import announce
from ovcadmin.services import guests
from ovcadmin.work import Work

MOST = 4
"""Addresses that are named beside a console."""


def seen(work: Work, host_id: int, leases: Iterable[Lease]) -> None:
    """Take in what a host gave out; leases of cards that are not ours are left out."""
    found = {(lease.mac.lower(), lease.address): lease for lease in leases}
    if not found:
        return
    macs = {mac for mac, _ in found}
    known = {
        (row.mac, row.address): row
        for row in work.db.scalars(select(GuestAddress).where(GuestAddress.mac.in_(macs)))
    }
    ours = select(Nic.mac, Machine.id, Machine.pool_id).join(Machine, Machine.id == Nic.machine_id)
    for mac, machine_id, pool_id in work.db.execute(ours.where(Nic.mac.in_(macs))).all():
        for key, lease in found.items():
            if key[0] != mac:
                continue
            row = known.get(key)
            if row is None:
                row = GuestAddress(mac=mac, address=lease.address)
                work.db.add(row)
                announce(work.db, "machine", machine_id, pool_id)
            row.network, row.host_id, row.seen_at = lease.network, host_id, work.now()


def of(work: Work, machine: Machine) -> list[GuestAddress]:
    """Return the addresses that a machine was seen with, the last one first."""
    macs = [nic.mac for nic in machine.nics]
    statement = select(GuestAddress).where(GuestAddress.mac.in_(macs))
    ordered = statement.order_by(GuestAddress.seen_at.desc(), GuestAddress.id.desc())
    return list(work.db.scalars(ordered))


def reachable(work: Work, machine: Machine) -> list[str]:
    """Return where a running machine may answer, each address once, the surest first.

    These are the ones reserved for its cards, those that it was given since it runs, and what its
    agent tells.
    """
    reserved = [nic.address for nic in machine.nics if nic.address]
    given = [row.address for row in of(work, machine) if row.seen_at >= machine.state_since]
    guest = guests.of(work, machine)
    told = guest_words.outward(guest.facts) if guest else []
    return list(dict.fromkeys([*reserved, *given, *told]))[:MOST]


def had(address: str) -> Any:
    """Return the ids of the machines that were seen with an address."""
    macs = select(GuestAddress.mac).where(GuestAddress.address == address)
    return select(Nic.machine_id).where(Nic.mac.in_(macs))
