"""Names: any text on one line; nothing that looks like another name (fault 21)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ovcadmin.domain import names


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "{{7*7}}", "=cmd()", "naïve £", "日本"]
)
def test_fault_21_markup_is_only_text(text):
    assert names.clean(text) == unicodedata.normalize("NFC", text)


@pytest.mark.parametrize(
    "text", ["", "   ", "a\nb", "a\x00b", "\u202eevil", "a\u2028b", "x" * 10_000, "\ud800"]
)
def test_fault_21_what_cannot_be_shown_on_one_line_is_refused(text):
    with pytest.raises(ValueError, match=r"\.$"):
        names.clean(text)


@given(st.text(max_size=150))
def test_a_cleaned_name_is_clean(text):
    try:
        cleaned = names.clean(text)
    except ValueError:
        return
    assert names.clean(cleaned) == cleaned
    assert 0 < len(cleaned) <= names.LONGEST


def test_names_that_people_call_the_same_share_a_key():
    assert names.key("Straße") == names.key("STRASSE")
    assert names.key("Ｗeb") == names.key("web")
