"""What shipped articles tell their readers to type."""

from __future__ import annotations

import re
import shlex

from ovcadmin.services import knowledge

_BLOCK = re.compile(r"^```\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(text: str) -> list[str]:
    """Return what stands in blocks of its own."""
    return _BLOCK.findall(text)


def commands(text: str) -> list[str]:
    """Return the commands of the console: lines of their own, after a pipe, in a sentence."""
    text = text.replace("\\\n", " ")
    found = re.findall(r"`((?:ovc|ovcadmin) [^`\n]+)`", text)
    for block in blocks(text):
        found += re.findall(r"(?:^|\| )((?:ovc|ovcadmin) .+)$", block, re.MULTILINE)
    return [command.partition(" > ")[0] for command in found]


def body(section: str, slug: str, names: dict[str, str]) -> str:
    """Return the text of an article, with the names of a test in the place of its examples."""
    text = knowledge.shipped()[section, slug].text.body
    for example, name in names.items():
        assert example in text, f"{section}/{slug} speaks of no {example}"
        text = text.replace(example, name)
    return text


def typed(text: str, beginning: str) -> list[str]:
    """Return the words after `ovc` of the one command that begins so."""
    (found,) = (one for one in commands(text) if one.startswith(beginning))
    return shlex.split(found)[1:]
