"""Kinds of images and what each is good for.

What others call an appliance (an image that brings its own size) is a profile here: an image with
a size and a network under one name (services/profiles).
"""

from __future__ import annotations

from enum import StrEnum


class ImageKind(StrEnum):
    DISK = "disk"
    """A raw disk: a new machine's disk is a copy of it."""
    ISO = "iso"
    """A CD-ROM that machines may have in their drive."""
    NETWORK = "network"
    """An address that machines boot from by network: `http(s)://` or `tftp://`."""
    KICKSTART = "kickstart"
    """An installation ISO with the answers that its installer is given."""


LABELS = {
    ImageKind.DISK: "base image",
    ImageKind.ISO: "ISO",
    ImageKind.NETWORK: "network boot entry",
    ImageKind.KICKSTART: "kickstart",
}
FILES = (ImageKind.DISK, ImageKind.ISO)
"""Kinds that have content of their own."""
