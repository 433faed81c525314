"""Which hosts are too old."""

from __future__ import annotations

import pytest

from ovcadmin.domain.host_versions import dotted, too_old


@pytest.mark.parametrize("found", [{"libvirt": "6.0.0"}, {"libvirt": "12.8.0", "QEMU": "10.0.2"}])
def test_what_is_new_enough_is_told_nothing(found):
    assert too_old(**found) == ""


@pytest.mark.parametrize("text", ["", "unknown", "9.x"])
def test_what_is_no_version_is_let_pass(text):
    assert too_old(libvirt=text) == ""


def test_each_old_one_is_named_with_what_is_needed():
    told = too_old(libvirt="5.10.0", QEMU="2.12.0")
    assert told == (
        "libvirt 5.10.0 is too old: the console needs 6.0.0 or newer; QEMU 2.12.0 is too old: the "
        "console needs 4.2.0 or newer. Update the host's packages."
    )


def test_a_number_of_libvirt_is_written_with_dots():
    assert dotted(9_000_000) == "9.0.0"
    assert dotted(12_008_001) == "12.8.1"
