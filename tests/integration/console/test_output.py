"""Much output on the serial console: nothing is lost, and memory stays bounded (fault 27)."""

from __future__ import annotations

import pytest

from ovcadmin.gateway import sessions as codes

LINES = 150_000
"""More than the gateway keeps for a page that draws nothing."""
REPLAYED = 50_000
"""More than it keeps for a page that comes back."""


@pytest.mark.timeout(300)  # an emulated guest prints some 100 kB/s where others work beside it
@pytest.mark.requirement("PEER-22")
def test_fault_27_a_slow_reader_loses_nothing_and_memory_stays(rig, machine, guest, anna):
    page = rig.at_prompt(anna, machine)
    before = rig.memory
    page.draws = False
    page.type(f"seq 1 {LINES}\r")
    _read_until_quiet(page)
    assert codes.HIGH <= page.undrawn < codes.HIGH + 400_000, "the guest did not wait"
    assert f"\n{LINES}\r\n".encode() not in page.screen
    page.draws = True
    page.draw()
    page.expect(f"\n{LINES}\r\n", 100)
    printed = bytes(page.screen).split(b"\r\n")
    numbers = [int(line) for line in printed if line.isdigit()]
    assert numbers == list(range(1, LINES + 1))
    assert rig.memory - before < 8 * 2**20


def _read_until_quiet(page):
    while True:
        try:
            page.read(3)
        except TimeoutError:
            return


@pytest.mark.timeout(300)
def test_fault_27_what_nobody_watches_is_kept_in_bounds(rig, machine, guest, anna):
    page = rig.at_prompt(anna, machine)
    before = rig.memory
    page.type(f"seq 1 {REPLAYED}; echo all-$((1 + 1))\r")
    page.close()
    again = rig.open(anna, machine)
    while b"all-2" not in again.screen:
        again.expect("\n", 60)
        again.read(60)
    assert rig.memory - before < 8 * 2**20
    assert again.told[0]["replay"] <= 256 * 1024


def test_fault_27_broken_text_passes_as_it_is(rig, machine, guest, anna):
    page = rig.at_prompt(anna, machine)
    page.type("printf 'A\\377\\376\\300B\\033]52;c;ZXZpbA==\\007C\\n'\r")
    page.expect(b"A\xff\xfe\xc0B\x1b]52;c;ZXZpbA==\x07C\r\n")


def test_a_paste_of_a_hundred_kilobytes_arrives_whole(rig, machine, guest, anna):
    page = rig.at_prompt(anna, machine)
    # No line longer than the guest's terminal takes (4096).
    lines = [f"{number:06d} " + "x" * 90 for number in range(1000)]
    page.type("stty -echo; cat > /tmp/paste; stty echo; md5sum < /tmp/paste; wc -c < /tmp/paste\r")
    page.expect("\n")
    text = "\n".join(lines) + "\n"
    for start in range(0, len(text), 16384):
        page.type(text[start : start + 16384])
    page.type(b"\x04")
    page.expect(f"{len(text)}\r\n", 60)
