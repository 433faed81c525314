"""What `--watch` draws on a terminal."""

from __future__ import annotations

from ovcadmin.cli.watching import fitted


def test_a_picture_that_fits_is_shown_whole():
    assert fitted("one\ntwo\n", 3) == "one\ntwo\n"
    assert fitted("", 24) == ""


def test_of_a_longer_one_is_told_how_much_is_left_out():
    assert fitted("".join(f"{line}\n" for line in range(10)), 4) == "0\n1\n… 8 more lines\n"
    assert fitted("one\ntwo\n", 1) == "… 2 more lines\n"
