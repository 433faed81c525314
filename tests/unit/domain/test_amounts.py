"""Amounts: what people write is read exactly or refused with a sentence (fault 8)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain import amounts
from ovcadmin.domain.resources import LARGEST


@pytest.mark.parametrize(
    ("text", "kib"),
    [("512 MiB", 512 * 1024), ("1.5 GiB", 1572864), ("256", 262144), ("1gib", 2**20)],
)
def test_memory_is_read_in_binary_units(text, kib):
    assert amounts.memory_kib(text) == kib


@pytest.mark.parametrize(
    ("text", "size"),
    [("15 GB", 15 * 10**9), ("15", 15 * 10**9), ("2TB", 2 * 10**12), ("1 MiB", 2**20)],
)
def test_storage_is_read_in_decimal_units(text, size):
    assert amounts.storage_bytes(text) == size


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "+1",
        "1e9",
        "NaN",
        "inf",
        "٣",
        "1,5 GB",
        "0x10",
        "1 GBB",
        "9" * 30,
        "1 2",
        "½",
    ],
)
def test_fault_08_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        amounts.storage_bytes(text)
    with pytest.raises(ValueError, match=r"."):
        amounts.count(text)


@pytest.mark.parametrize("text", [str(2**63), str(2**53 + 1), "9999999999 PiB"])
def test_fault_08_more_than_can_be_counted_is_refused(text):
    with pytest.raises(ValueError, match="more than the console can count"):
        amounts.byte_amount(text, default_unit="B")


@given(st.integers(0, LARGEST))
def test_a_count_is_read_back_as_written(number):
    assert amounts.count(str(number)) == number


@given(st.text(max_size=40))
def test_any_text_gives_an_amount_or_a_sentence(text):
    said = ""
    try:
        number = amounts.byte_amount(text, default_unit="GB")
    except ValueError as error:
        number, said = 0, str(error)
    assert 0 <= number <= LARGEST
    assert not said or said.endswith(".")


@given(st.integers(0, LARGEST))
def test_what_is_shown_is_short_and_close(number):
    shown = amounts.show_storage(number)
    assert len(shown) <= 9
    read = amounts.byte_amount(shown, default_unit="B")
    assert abs(read - number) <= max(0.06 * number, 1)


@given(st.integers(0, LARGEST), st.sampled_from(["vcpus", "memory", "storage"]))
def test_what_a_form_field_shows_is_read_back_unchanged(number, resource):
    number = number // 1024 if resource == "memory" else number
    assert amounts.read(resource, amounts.write(resource, number)) == number
