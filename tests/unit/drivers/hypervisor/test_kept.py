"""Definitions of adopted guests: only what is wanted otherwise is altered in them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ovcadmin.drivers.hypervisor import kept, xml
from ovcadmin.drivers.hypervisor.base import CdromSpec, DiskSpec, MachineSpec, NicSpec, VirtType
from ovcadmin.errors import HypervisorFailed

FOREIGN = """
<domain type="kvm">
  <name>old-web</name>
  <uuid>6f0f6b1c-6a53-4b0c-9f0d-0c1d1b5f0a01</uuid>
  <title>Old web</title>
  <metadata><a:b xmlns:a="urn:theirs">kept</a:b></metadata>
  <memory unit="KiB">1048576</memory>
  <currentMemory unit="KiB">1048576</currentMemory>
  <vcpu placement="static">4</vcpu>
  <os firmware="efi">
    <type arch="x86_64" machine="pc-q35-7.2">hvm</type>
    <loader readonly="yes" type="pflash">/usr/share/OVMF/OVMF_CODE.fd</loader>
    <boot dev="hd"/>
  </os>
  <features><acpi/><smm state="on"/></features>
  <cpu mode="host-passthrough"><topology sockets="1" dies="1" cores="2" threads="2"/></cpu>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type="file" device="disk">
      <driver name="qemu" type="raw" cache="none"/>
      <source file="/disks/web.raw"/>
      <target dev="sda" bus="scsi"/>
      <address type="drive" controller="0" bus="0" target="0" unit="3"/>
    </disk>
    <disk type="file" device="cdrom">
      <source file="/isos/theirs.iso"/>
      <target dev="sdb" bus="sata"/>
      <readonly/>
    </disk>
    <interface type="bridge">
      <mac address="52:54:00:AA:00:01"/>
      <source bridge="br7"/>
      <model type="e1000e"/>
      <filterref filter="clean-traffic"/>
    </interface>
    <watchdog model="itco" action="reset"/>
  </devices>
</domain>
"""
AS_IT_IS = MachineSpec(
    uuid="6f0f6b1c-6a53-4b0c-9f0d-0c1d1b5f0a01",
    name="old-web",
    title="Old web",
    vcpus=4,
    memory=1048576,
    virt_type=VirtType.KVM,
    disks=(DiskSpec(source="/disks/web.raw", target="sda", boot_order=1),),
    nics=(NicSpec(mac="52:54:00:aa:00:01", network="bridge:br7"),),
    cdroms=(CdromSpec(target="sdb"),),
)
DATA = DiskSpec(source="/disks/data.raw", target="vdb")
SECOND = NicSpec(mac="52:54:00:aa:00:02", network=None)


def altered(**wanted):
    return xml.read(kept.altered(FOREIGN, replace(AS_IT_IS, **wanted)))


def text_of(root):
    return etree.tostring(root, encoding="unicode")


def shape(root):
    """Every element with its attributes and text, without the space between them."""
    return [
        (one.tag, sorted(one.attrib.items()), (one.text or "").strip())
        for one in root.iter()
        if isinstance(one.tag, str)
    ]


def test_what_is_wanted_as_it_stands_changes_nothing():
    found, before = shape(altered()), shape(xml.read(FOREIGN))
    # The number of vCPUs to start with, which was all of them, is all that may be said anew.
    assert [one for one in found if one[0] != "vcpu"] == [one for one in before if one[0] != "vcpu"]


def test_board_firmware_processor_and_foreign_devices_stay_whatever_is_wanted():
    root = altered(vcpus=2, memory=2**21, disks=(), nics=(), title="New <web>", cpu_limit=150)
    assert root.find("os/type").get("machine") == "pc-q35-7.2"
    assert kept.has_firmware(root)
    assert root.find("cpu").get("mode") == "host-passthrough"
    assert root.find("devices/watchdog") is not None
    assert root.find("metadata")[0].text == "kept"
    assert root.findtext("name") == "old-web"
    assert root.findtext("title") == "New <web>"


@pytest.mark.parametrize(("vcpus", "most", "arranged"), [(2, "4", True), (6, "6", False)])
def test_vcpus_above_what_was_arranged_lose_the_arrangement(vcpus, most, arranged):
    root = altered(vcpus=vcpus)
    assert kept.vcpus(root) == vcpus
    assert root.findtext("vcpu") == most
    assert (root.find("cpu/topology") is not None) == arranged


def test_memory_is_written_wherever_it_is_told():
    cells = '<numa><cell id="0" cpus="0-3" memory="1048576" unit="KiB"/></numa>'
    text = FOREIGN.replace("<topology", cells + "<topology")
    root = xml.read(kept.altered(text, replace(AS_IT_IS, memory=2**21)))
    assert root.findtext("memory") == root.findtext("currentMemory") == str(2**21)
    assert root.find("cpu/numa/cell").get("memory") == str(2**21)


@pytest.mark.parametrize(
    "pieces",
    [
        '<numa><cell id="0" memory="524288"/><cell id="1" memory="524288"/></numa>',
        None,
    ],
)
def test_memory_in_pieces_of_somebody_elses_making_is_refused(pieces):
    if pieces:
        text = FOREIGN.replace("<topology", pieces + "<topology")
    else:
        text = FOREIGN.replace("<watchdog", '<memory model="dimm"/><watchdog')
    with pytest.raises(HypervisorFailed, match="change it on the host"):
        kept.altered(text, replace(AS_IT_IS, memory=2**21))
    assert kept.altered(text, AS_IT_IS), "as long as nobody wants another amount"


def test_a_cpu_limit_comes_and_goes_and_leaves_other_tuning():
    text = FOREIGN.replace("<os ", "<cputune><shares>2048</shares></cputune><os ")
    limited = kept.altered(text, replace(AS_IT_IS, cpu_limit=150))
    tune = xml.read(limited).find("cputune")
    quota = int(tune.findtext("global_quota")) / int(tune.findtext("global_period"))
    assert (tune.findtext("shares"), quota) == ("2048", 1.5)
    free = xml.read(kept.altered(limited, AS_IT_IS)).find("cputune")
    assert [one.tag for one in free] == ["shares"]


def test_a_disk_keeps_its_bus_and_address_when_limited_and_others_come_and_go():
    limited = replace(AS_IT_IS.disks[0], bytes_limit=2**20, iops_limit=100)
    root = altered(disks=(limited, DATA))
    first, _, second = root.findall("devices/disk")
    assert first.find("target").get("bus") == "scsi"
    assert first.find("address").get("unit") == "3"
    assert first.findtext("iotune/total_bytes_sec") == str(2**20)
    assert first.findtext("iotune/total_iops_sec") == "100"
    assert kept.target(second) == "vdb"

    alone = text_of(altered(disks=(limited, DATA)))
    root = xml.read(kept.altered(alone, AS_IT_IS))
    assert [kept.target(one) for one in root.iterfind("devices/disk")] == ["sda", "sdb"]
    assert root.find("devices/disk/iotune") is None


def test_a_cdrom_of_theirs_is_left_and_a_new_drive_fits_the_board():
    assert altered().find("devices/disk[@device='cdrom']/source").get("file") == "/isos/theirs.iso"
    root = altered(cdroms=(CdromSpec(target="sdb", source="/isos/ours.iso"),))
    assert root.find("devices/disk[@device='cdrom']/source").get("file") == "/isos/ours.iso"
    root = altered(cdroms=(CdromSpec(target="sdc", source="/isos/ours.iso"),))
    assert [
        (kept.target(one), one.find("target").get("bus"))
        for one in root.iterfind("devices/disk[@device='cdrom']")
    ] == [("sdb", "sata"), ("sdc", "sata")], "a q35 board has no IDE"


def test_a_card_is_known_by_its_mac_whatever_its_case_and_keeps_its_model_and_filter():
    card = replace(AS_IT_IS.nics[0], receive_limit=2**20)
    root = altered(nics=(card, SECOND))
    first, second = root.findall("devices/interface")
    assert first.find("model").get("type") == "e1000e"
    assert first.find("filterref").get("filter") == "clean-traffic"
    assert first.find("bandwidth/inbound").get("average") == "1024"
    assert first.find("bandwidth/outbound") is None
    assert second.find("mac").get("address") == SECOND.mac


def test_a_card_is_held_to_an_address_and_let_go():
    held = replace(AS_IT_IS.nics[0], address="10.0.0.7")
    text = text_of(altered(nics=(held,)))
    assert "10.0.0.7" in text
    assert "10.0.0.7" not in kept.altered(text, AS_IT_IS)


def test_the_order_of_booting_is_only_written_when_another_one_is_wanted():
    assert kept.boot(altered()) == ["disk"]
    assert altered().find("os/boot") is not None
    card = replace(AS_IT_IS.nics[0], boot_order=1)
    root = altered(nics=(card,), disks=(replace(AS_IT_IS.disks[0], boot_order=2),))
    assert kept.boot(root) == ["network", "disk"]
    assert root.find("os/boot") is None, "libvirt takes one kind of order or the other"


SPECS = st.builds(
    replace,
    st.just(AS_IT_IS),
    vcpus=st.integers(1, 64),
    memory=st.integers(2**16, 2**26),
    cpu_limit=st.none() | st.integers(1, 6400),
    title=st.text(max_size=20),
    disks=st.sampled_from([(), AS_IT_IS.disks, (*AS_IT_IS.disks, DATA), (DATA,)]),
    nics=st.sampled_from([(), AS_IT_IS.nics, (*AS_IT_IS.nics, SECOND), (SECOND,)]),
)


@given(SPECS, SPECS)
def test_altering_again_changes_nothing_and_the_way_there_does_not_matter(one, other):
    once = kept.altered(FOREIGN, one)
    assert shape(xml.read(kept.altered(once, one))) == shape(xml.read(once))
    root = xml.read(kept.altered(kept.altered(FOREIGN, other), one))
    assert kept.vcpus(root) == one.vcpus
    assert root.findtext("memory") == str(one.memory)
    assert {kept.target(disk) for disk in root.iterfind("devices/disk[@device='disk']")} == {
        disk.target for disk in one.disks
    }
    cards = root.iterfind("devices/interface/mac")
    assert {mac.get("address").lower() for mac in cards} == {nic.mac for nic in one.nics}
