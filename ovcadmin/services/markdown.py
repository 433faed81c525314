"""Markdown as safe HTML, with what a page needs around it: contents, links, plain words.

Raw HTML is shown as text, never passed on; addresses are our own, `http`, `https` or `mailto`;
what comes out is cleaned once more by a second library against a short list of tags.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from ovcadmin.services import steps
from ovcadmin.services.steps import MARK, Tick

_TAGS = "a blockquote br code em h2 h3 h4 hr img li ol p pre strong table tbody td th thead tr ul"
TAGS = frozenset(_TAGS.split())
ATTRIBUTES: dict[str, set[str]] = {
    "*": set(),
    "a": {"href"},
    "h2": {"id"},
    "h3": {"id"},
    "img": {"src", "alt"},
    "ol": {"start"},
    "table": {"tabindex"},
}
SCHEMES = {"http", "https", "mailto"}
OPEN, CLOSE = "\ue000", "\ue001"
"""Around the number of a mark; no text keeps them."""
_TICK = re.compile(f"{OPEN}[0-9]+{CLOSE} ?")
PICTURE = re.compile(r"/knowledge/pictures/[0-9a-f]{64}\.(png|jpg|gif|webp)")
"""Address of a picture that was added here."""
DEEPEST = 3
"""Headings of levels 2 to this one stand in the table of contents."""


@dataclass(frozen=True, kw_only=True)
class Heading:
    level: int
    id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Rendered:
    html: str
    marked: str
    """The same with `OPEN`, a number and `CLOSE` where a mark of `ticks` stands."""
    ticks: tuple[Tick, ...]
    contents: tuple[Heading, ...]
    links: tuple[str, ...]
    """Every address that the text leads to."""
    words: str
    """The text without its marks, for the search."""


@lru_cache(maxsize=512)
def render(source: str) -> Rendered:
    """Render a text; one that is already known costs nothing."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(source.replace(OPEN, "").replace(CLOSE, ""))
    ticks: list[Tick] = []
    for token in tokens:
        _own_pictures(token)
        if token.type == "table_open":  # on a small screen it scrolls, by keys too
            token.attrs["tabindex"] = "0"
        token.children = _steps(token.children, ticks) if token.children else token.children
    contents = _mark_headings(tokens)
    marked = nh3.clean(
        parser.renderer.render(tokens, parser.options, {}),
        tags=set(TAGS),
        attributes={tag: set(names) for tag, names in ATTRIBUTES.items()},
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer",
    )
    return Rendered(
        html=_TICK.sub("", marked),
        marked=marked,
        ticks=tuple(ticks),
        contents=contents,
        links=tuple(str(one.attrs["href"]) for one in _inner(tokens) if one.type == "link_open"),
        words=_words(tokens),
    )


def slug(title: str) -> str:
    """Return a title as part of an address."""
    return re.sub(r"[^a-z0-9]+", "-", title.casefold()).strip("-")[:60]


def _mark_headings(tokens: list[Token]) -> tuple[Heading, ...]:
    """Give each heading an id of its own; `at-` keeps it apart from the ids of the page."""
    found: list[Heading] = []
    for token in tokens:
        if token.tag == "h1":  # a page has one title, and that is the article's
            token.tag = "h2"
    for token, following in pairwise(tokens):
        if token.type != "heading_open":
            continue
        level = int(token.tag[1])
        if level > DEEPEST:
            continue
        title = "".join(child.content for child in following.children or [])
        name = f"at-{slug(title)}"
        while name in {heading.id for heading in found}:
            name += "-"
        token.attrs["id"] = name
        found.append(Heading(level=level, id=name, title=title))
    return tuple(found)


def _steps(children: list[Token], ticks: list[Tick]) -> list[Token]:
    """Put a link in the place of each button, and a mark's number in the place of each mark."""
    found: list[Token] = []
    for token in children:
        if token.type != "text":
            found.append(token)
            continue
        at = 0
        for match in MARK.finditer(token.content):
            made = _step(match, ticks)
            if made:
                found += [_text(token.content[at : match.start()]), *made]
                at = match.end()
        found.append(_text(token.content[at:]))
    return found


def _step(match: re.Match[str], ticks: list[Tick]) -> list[Token]:
    """Return what stands for one step; nothing for words that are not declared."""
    kind, word, more, times = match.groups()
    if kind == "tick" and more and (tick := steps.tick(word, more, times)):
        ticks.append(tick)
        return [_text(f"{OPEN}{len(ticks) - 1}{CLOSE}")]
    words: dict[str, Any] = {**steps.DEEDS} if kind == "do" else {**steps.WAYS}
    known = words.get(word)
    if known is None or more or kind == "tick":
        return []
    link = Token("link_open", "a", 1, attrs={"href": f"/{kind}/{word}"})
    return [link, _text(known.label), Token("link_close", "a", -1)]


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _own_pictures(token: Token) -> None:
    """Keep pictures of this console; of any other address only its words are left."""
    for child in token.children or []:
        if child.type == "image" and not PICTURE.fullmatch(str(child.attrs["src"])):
            child.type, child.tag, child.children = "text", "", None


def _inner(tokens: Iterable[Token]) -> Iterable[Token]:
    for token in tokens:
        yield token
        yield from token.children or []


def _words(tokens: list[Token]) -> str:
    parts = []
    for token in _inner(tokens):
        if token.type in ("text", "code_inline"):
            parts.append(token.content)
        elif token.type in ("fence", "code_block"):
            parts.append(f" {token.content} ")
        elif token.type in ("softbreak", "hardbreak", "inline", "paragraph_close", "td_close"):
            parts.append(" ")
    return re.sub(r"\s+", " ", _TICK.sub("", "".join(parts))).strip()
