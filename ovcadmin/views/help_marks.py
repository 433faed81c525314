"""Help in place: the sign beside a title that opens the article on what stands below it.

Templates name an article as `section/name`, or `section/name#heading` for a part of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from markupsafe import Markup

from ovcadmin.services import knowledge
from ovcadmin.services.markdown import Heading


@dataclass(frozen=True, kw_only=True)
class Place:
    """A shipped article, or a part of it."""

    path: str
    title: str


@cache
def place(key: str) -> Place:
    """Return where a key leads.  Raises `KeyError`: a template names what is not there."""
    name, _, part = key.partition("#")
    section, _, slug = name.partition("/")
    article = knowledge.part(slug) if section == knowledge.TUTORIAL else None
    article = article or knowledge.shipped()[section, slug]
    if not part:
        return Place(path=article.path, title=article.title)
    headings: dict[str, Heading] = {one.id: one for one in article.rendered.contents}
    heading = headings[f"at-{part}"]
    return Place(path=f"{article.path}#{heading.id}", title=f"{article.title}, {heading.title}")


@cache
def help_mark(key: str) -> Markup:
    """Return the sign that leads there."""
    found = place(key)
    return Markup('<a class="help-mark" href="{}" title="{}" aria-label="Help: {}">?</a>').format(
        found.path, found.title, found.title
    )
