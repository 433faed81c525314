"""What a storage pool is built of, read from what its server shows."""

from __future__ import annotations

import pytest

from ovcadmin.domain.layers import read

CHAIN = ("raid md0", "drbd r0", "lvm vg0", "vm storage-a", "lvm vg1", "iscsi iqn.2026-11.x:a")
MDSTAT = """Personalities : [raid1]
md0 : active raid1 sdb1[1] sda1[0]
      976630464 blocks super 1.2 [2/2] [UU]

md1 : active raid1 sdb2[1](F) sda2[0]
      976630464 blocks super 1.2 [2/1] [U_]
"""
PROC_DRBD = """version: 8.4.11 (api:1/proto:86-101)
 0: cs:Connected ro:Primary/Secondary ds:UpToDate/UpToDate C r-----
    ns:1048576 nr:0 dw:1048576 dr:2104 al:9 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:0
 1: cs:WFConnection ro:Primary/Unknown ds:UpToDate/DUnknown C r-----
    ns:0 nr:0 dw:4 dr:2104 al:1 bm:0 lo:0 pe:0 ua:0 ap:0 ep:1 wo:f oos:16
 2: cs:Unconfigured
"""
DRBDADM = """r0 role:Primary
  disk:UpToDate
  store-b role:Secondary
    peer-disk:UpToDate

r1 role:Primary
  disk:UpToDate
  store-b connection:Connecting

r2 role:Secondary
  disk:UpToDate
  store-b role:Primary
    replication:SyncSource peer-disk:Inconsistent done:7.40
"""


def states(lines, status):
    return {layer.name: (layer.state, layer.good) for layer in read(lines, status)}


def test_the_chain_keeps_its_order_and_shows_what_the_server_tells():
    found = read(CHAIN, MDSTAT + PROC_DRBD)
    assert [f"{layer.kind} {layer.name}" for layer in found] == list(CHAIN)
    assert [(layer.state, layer.good) for layer in found[:3]] == [
        ("[UU]", True), ("Connected Primary/Secondary UpToDate/UpToDate", True), ("", True)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "wanted"),
    [
        (PROC_DRBD, {"r0": True, "r1": False, "r2": False}),
        (DRBDADM, {"r0": True, "r1": False, "r2": False}),
    ],
)
def test_a_mirror_without_its_other_half_is_not_good(status, wanted):
    found = states([f"drbd {name}" for name in wanted], status)
    assert {name: good for name, (_, good) in found.items()} == wanted


def test_an_array_that_lost_a_disk_is_not_good():
    assert states(["raid md0", "raid md1"], MDSTAT) == {
        "md0": ("[UU]", True), "md1": ("[U_]", False)
    }  # fmt: skip


@pytest.mark.parametrize("line", ["tape x", "drbd", "drbd  ", "lvm " + "x" * 101])
def test_what_is_no_layer_is_refused(line):
    with pytest.raises(ValueError, match=r"Begin each line|Say which"):
        read([line], "")


def test_there_is_an_end_to_layers_and_junk_tells_nothing():
    with pytest.raises(ValueError, match="At most 12"):
        read(["disk a"] * 13, "")
    assert states(["drbd r0"], "\0{{7*7}} <script>") == {"r0": ("", True)}
