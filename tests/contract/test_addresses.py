"""Which addresses a network gave to guests: a real libvirt network, dnsmasq and a real guest."""

from __future__ import annotations

import pytest

from ovcadmin.drivers.hypervisor.base import Lease, NicSpec
from tests.contract.conftest import Console, until

MAC = "52:54:00:aa:cc:01"
NETWORK = """
<network><name>lan</name><bridge name="virbr7"/>
<ip address="192.168.77.1" netmask="255.255.255.0">
<dhcp><range start="192.168.77.10" end="192.168.77.20"/></dhcp></ip></network>
"""


@pytest.mark.timeout(240)
def test_a_network_tells_which_address_it_gave(libvirt_hypervisor, libvirt_host, machines_of):
    assert libvirt_hypervisor.leases() == ()
    described = libvirt_host.directory / "lan.xml"
    described.write_text(NETWORK)
    libvirt_host.virsh("net-create", str(described))
    machines = machines_of(libvirt_hypervisor)
    card = NicSpec(mac=MAC, network="lan")
    uuid = machines.running(bootable=True, nics=(card,))
    console = Console(libvirt_hypervisor, uuid)
    console.prompt()
    console.answers("udhcpc -n -q -i eth0; echo asked", seconds=60)
    (lease,) = until(libvirt_hypervisor.leases, "a lease", seconds=30)
    assert lease == Lease(mac=MAC, address=lease.address, network="lan")
    assert lease.address.startswith("192.168.77.")
