"""Scrollback: the last output, whole lines, bounded."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ovcadmin.gateway.scrollback import LIMIT, Scrollback


def test_little_is_kept_as_it_is():
    kept = Scrollback()
    for piece in (b"\x1b[31mred", b"", b"\xe4\xb8", b"\x96\r\n"):
        kept.append(piece)
    assert bytes(kept) == b"\x1b[31mred\xe4\xb8\x96\r\n"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3 * LIMIT // 2), max_size=8), st.integers(1, 200))
def test_what_is_kept_is_the_end_from_the_start_of_a_line(sizes, width):
    line = b"x" * (width - 1) + b"\n"
    everything = b""
    kept = Scrollback()
    for size in sizes:
        piece = (line * (size // width + 1))[:size]
        everything += piece
        kept.append(piece)
    found = bytes(kept)
    assert everything.endswith(found)
    assert len(found) <= LIMIT
    assert len(kept) <= LIMIT + 64 * 1024
    if len(everything) <= LIMIT:
        assert found == everything
    else:
        assert len(found) > LIMIT - 5000
        start = len(everything) - len(found)
        assert everything[start - 1 : start] == b"\n"


def test_a_line_without_an_end_is_kept_all_the_same():
    kept = Scrollback()
    kept.append(b"x" * (2 * LIMIT))
    assert bytes(kept) == b"x" * LIMIT
