"""Telling images by the headers of the known formats.

A raw disk has no header.  A file that claims to be raw but starts like another format could make
a hypervisor that probes formats open files of the host, so it is refused before it is copied.
Nothing is ever unpacked or followed: what is inside another format is not looked at.
"""

from __future__ import annotations

from ovcadmin.domain.images import ImageKind

ISO = "ISO 9660"
HEADERS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"QFI\xfb", "qcow2"),
    (0, b"QED\0", "QED"),
    (0, b"KDMV", "VMDK"),
    (0, b"COWD", "VMDK"),
    (0, b"# Disk DescriptorFile", "VMDK"),
    (0, b"conectix", "VHD"),
    (0, b"vhdxfile", "VHDX"),
    (0x40, b"\x7f\x10\xda\xbe", "VDI"),
    (0, b"WithoutFreeSpace", "Parallels"),
    (0, b"WithouFreSpacExt", "Parallels"),
    (0, b"Bochs Virtual HD Image", "Bochs"),
    (0, b"OOOM", "UML COW"),
    (0, b"LUKS\xba\xbe", "LUKS"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (0, b"PK\x03\x04", "zip"),
    (0x101, b"ustar", "tar (OVA)"),
    (0x8001, b"CD001", ISO),
)
"""(offset, bytes, format)"""
FOOTERS: tuple[tuple[bytes, str], ...] = ((b"conectix", "VHD"), (b"koly", "DMG"))
"""At 512 bytes before the end."""
HEAD = 0x8054
"""An ISO says at its end how many blocks of `ISO_BLOCK` bytes it has."""
ISO_BLOCK = 2048
TAIL = 512


def trouble(head: bytes, tail: bytes, kind: ImageKind, size: int) -> tuple[str, str]:
    """Say why a file is not of its kind, and what it is instead; blank when it is right.

    `head` are its first `HEAD` bytes, `tail` its last `TAIL`, `size` all that it has.
    """
    if not head:
        return "is empty", ""
    found = [name for offset, magic, name in HEADERS if head.startswith(magic, offset)]
    found += [name for magic, name in FOOTERS if tail.startswith(magic)]
    if kind is ImageKind.ISO:
        if ISO not in found:
            what = f"a {found[0]} file" if found else "something else"
            return f"is {what}, not an ISO 9660 image", found[0] if found else ""
        # Its first 32 KiB are free for a boot sector: another format's header has no place there.
        found.remove(ISO)
        told = int.from_bytes(head[HEAD - 4 : HEAD], "little") * ISO_BLOCK
        if told > size:
            return f"is cut off: it says that it has {told} bytes, and {size} are here", ISO
    if found:
        wanted = "an ISO 9660 image" if kind is ImageKind.ISO else "a raw disk"
        more = "" if kind is ImageKind.ISO else ". Convert it with qemu-img first"
        return f"is a {found[0]} file, not {wanted}{more}", found[0]
    return "", ""
