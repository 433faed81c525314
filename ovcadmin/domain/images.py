"""Kinds of images and what each is good for."""

from __future__ import annotations

from enum import StrEnum


class ImageKind(StrEnum):
    DISK = "disk"
    """A raw disk: a new machine's disk is a copy of it."""
    ISO = "iso"
    """A CD-ROM that machines may have in their drive."""
    NETWORK = "network"
    """An address that machines boot from by network: `http(s)://` or `tftp://`."""


LABELS = {
    ImageKind.DISK: "base image",
    ImageKind.ISO: "ISO",
    ImageKind.NETWORK: "network boot entry",
}
