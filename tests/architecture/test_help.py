"""Help in place: every page and every panel names an article that exists."""

from __future__ import annotations

import re

import pytest

from ovcadmin.views.help_marks import place
from ovcadmin.views.rendering import TEMPLATES

FILES = {str(path.relative_to(TEMPLATES)): path.read_text() for path in TEMPLATES.rglob("*.pt")}
PAGES = sorted(name for name, text in FILES.items() if "macros.layout['page'" in text)
NAMED = re.compile(r"<metal:page[^>]*tal:define=\"help '([^']+)'")
MARK = re.compile(r"chrome\.help\('([^']+)'\)")
TITLE = re.compile(r"<h2[^>]*>(.*?)</h2>", re.DOTALL)
HELP_ITSELF = ("knowledge/", "help/", "api/", "macros/frame.pt", "macros/messages.pt")
"""Articles and lists of them; the frame's lists; a refusal, which opens the article on its code."""


@pytest.mark.parametrize("name", PAGES)
def test_a_page_names_its_article(name):
    found = NAMED.findall(FILES[name])
    assert len(found) == 1
    assert place(found[0]).path


def test_a_panel_with_a_title_names_its_article():
    bare = {
        name: left
        for name, text in FILES.items()
        if not name.startswith(HELP_ITSELF)
        and (left := [title for title in TITLE.findall(text) if not _told(title)])
    }
    assert bare == {}


@pytest.mark.parametrize("name", FILES)
def test_what_is_named_is_there(name):
    for key in MARK.findall(FILES[name]):
        assert place(key).title


def _told(title: str) -> bool:
    """Tell whether it has its mark; a title that is a value is part of a list, not of a panel."""
    words = re.sub(r"<[^>]*>|\$\{[^}]*\}", "", title).strip()
    return bool(MARK.search(title)) or not words
