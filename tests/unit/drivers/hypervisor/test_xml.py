"""Domain XML: what is built from a machine, and what is refused when read."""

from __future__ import annotations

import pytest

from ovcadmin.drivers.hypervisor import xml
from ovcadmin.drivers.hypervisor.base import CdromSpec, DiskSpec, MachineSpec, NicSpec, VirtType
from ovcadmin.errors import InvalidInput

EVIL = "</name><qemu:commandline><qemu:arg value='-monitor'/></qemu:commandline><name>"


def spec(**more) -> MachineSpec:
    values = {
        "uuid": "6f0f6b1c-6a53-4b0c-9f0d-0c1d1b5f0a01",
        "name": "machine-7",
        "title": "Web",
        "vcpus": 2,
        "memory": 262144,
        "virt_type": VirtType.QEMU,
        "disks": (DiskSpec(source="/pool/web", target="vda", boot_order=1),),
        "nics": (NicSpec(mac="52:54:00:00:00:01", network=None),),
    }
    return MachineSpec(**values | more)


def built(**more):
    return xml.read(xml.domain(spec(**more)))


@pytest.mark.parametrize("field", ["name", "title"])
def test_fault_34_markup_in_a_name_stays_text(field):
    root = built(**{field: EVIL})
    assert root.findtext(field) == EVIL
    assert {element.tag for element in root} == {element.tag for element in built()}


def test_fault_34_markup_in_a_path_or_network_stays_text():
    evil = '"/><source file="/etc/shadow'
    root = built(
        disks=(DiskSpec(source=evil, target="vda"),),
        nics=(NicSpec(mac="52:54:00:00:00:01", network=evil),),
    )
    assert [s.get("file") for s in root.iterfind("devices/disk/source")] == [evil]
    assert root.find("devices/interface/source").get("network") == evil


@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "a\x1bb", "a\ud800b", "a\uffffb"])
def test_fault_21_what_xml_cannot_carry_is_replaced(text):
    assert built(title=text).findtext("title") == "a\ufffdb"


def test_right_to_left_marks_and_other_scripts_are_kept():
    title = "\u202eevil\u202c \u0645\u062b\u0627\u0644 \U0001f5fb"
    assert built(title=title).findtext("title") == title


ENTITY = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><domain>&x;</domain>'
LAUGHS = (
    '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><domain>&b;&b;</domain>'
)


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE domain><domain/>",
        '<!DOCTYPE domain SYSTEM "http://127.0.0.1/x.dtd"><domain/>',
        ENTITY,
        LAUGHS,
        ENTITY.encode("utf-16"),
    ],
)
def test_fault_34_a_document_type_is_refused(text):
    with pytest.raises(InvalidInput, match=r"DOCTYPE|well-formed"):
        xml.read(text)


@pytest.mark.parametrize(
    "text", ["", "no xml", "<domain>", "<a></b>", "<a>&undefined;</a>", "\x00"]
)
def test_broken_xml_is_refused(text):
    with pytest.raises(InvalidInput, match="well-formed"):
        xml.read(text)


def test_disks_are_raw_and_never_probed_and_bypass_the_hosts_cache():
    drivers = built().findall("devices/disk/driver")
    assert [(d.get("type"), d.get("cache")) for d in drivers] == [("raw", "none")]
    assert (
        xml.read(xml.without_direct_io(xml.domain(spec()))).find("devices/disk/driver").get("cache")
        == "writeback"
    )


def test_a_block_device_is_attached_as_one():
    root = built(disks=(DiskSpec(source="/dev/x", target="vdb", kind="block"),))
    disk = root.find("devices/disk")
    assert (disk.get("type"), disk.find("source").get("dev")) == ("block", "/dev/x")
    assert disk.find("boot") is None


def test_a_nic_without_network_is_qemus_own():
    root = built(nics=(NicSpec(mac="52:54:00:00:00:01", network=None),))
    assert root.find("devices/interface").get("type") == "user"


def test_the_screen_is_for_this_machine_only():
    graphics = built().find("devices/graphics")
    assert {graphics.get("listen"), graphics.find("listen").get("address")} == {"127.0.0.1"}


def test_the_machine_gets_what_it_was_promised():
    root = built()
    assert (root.get("type"), root.find("vcpu").get("current"), root.findtext("memory")) == (
        "qemu",
        "2",
        "262144",
    )
    assert root.find("memory").get("unit") == "KiB"
    assert root.find("features/acpi") is not None


def test_a_machine_has_room_to_grow_while_it_runs():
    root = built(memory=2**20)
    assert (root.findtext("vcpu"), root.findtext("maxMemory")) == ("8", str(4 * 2**20))
    assert root.find("cpu/numa/cell").get("memory") == str(2**20)


def test_a_small_machine_has_no_room_for_memory_because_its_guest_would_pay_for_it():
    root = built(memory=262144)
    assert root.find("maxMemory") is None
    assert root.find("cpu/numa") is None


def test_windows_gets_local_time_a_pointer_and_a_second_cd_rom_drive():
    drives = tuple(CdromSpec(target=name, source=f"/{name}.iso") for name in ("hda", "hdb"))
    root = built(os_type="windows", cdroms=drives)
    assert root.find("clock").get("offset") == "localtime"
    assert root.find("devices/input").get("type") == "tablet"
    assert root.find("features/hyperv") is None, "only KVM knows these"
    cdroms = root.findall("devices/disk[@device='cdrom']")
    assert [one.find("source").get("file") for one in cdroms] == ["/hda.iso", "/hdb.iso"]
    assert all(one.find("readonly") is not None for one in cdroms)
    under_kvm = built(os_type="windows", virt_type=VirtType.KVM)
    assert under_kvm.find("features/hyperv/relaxed").get("state") == "on"


@pytest.mark.requirement("KVM-06")
@pytest.mark.parametrize("os_type", ["linux", "freebsd"])
def test_other_systems_keep_universal_time(os_type):
    root = built(os_type=os_type)
    assert root.find("clock").get("offset") == "utc"
    assert root.find("devices/input") is None


def test_limits_stand_in_the_definition():
    root = built(
        cpu_limit=50,
        disks=(DiskSpec(source="/x", target="vda", bytes_limit=10**6, iops_limit=100),),
        nics=(NicSpec(mac="52:54:00:00:00:01", network="lan", receive_limit=2**20),),
    )
    assert root.findtext("cputune/global_quota") == "50000"
    assert root.findtext("devices/disk/iotune/total_bytes_sec") == "1000000"
    assert root.findtext("devices/disk/iotune/total_iops_sec") == "100"
    assert root.find("devices/interface/bandwidth/inbound").get("average") == "1024"
    assert root.find("devices/interface/bandwidth/outbound") is None


def test_the_board_of_an_earlier_definition_is_kept():
    text = xml.domain(spec(), machine="pc-i440fx-7.2")
    assert xml.machine_type(text) == "pc-i440fx-7.2"
