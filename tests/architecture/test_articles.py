"""What shipped articles tell their readers to type and to press is there."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from ovcadmin.cli.main import root as ovc
from ovcadmin.manage.main import main as ovcadmin
from ovcadmin.services import knowledge
from tests.rig.articles import commands
from tests.rig.base import ROOT

ARTICLES = {
    article.key: article for article in (*knowledge.shipped().values(), *knowledge.tutorial())
}
PROGRAMS = {"ovc": ovc, "ovcadmin": ovcadmin}
STRESSED = {
    # stressed, or of another program
    "Load driver", "Import tunnel from file", "Arrow up", "Ctrl-R", "Ctrl-F6", "`` ` ``",
    "further drives", "he owns",
    "Who is it?", "What happened?", "May he?", "What was refused?", "What does he see?",
}  # fmt: skip


TYPED = sorted(
    {(key, one) for key, article in ARTICLES.items() for one in commands(article.text.body)}
)


@pytest.mark.requirement("NEW-08")
@pytest.mark.parametrize(("key", "command"), TYPED, ids=lambda one: str(one).replace("/", "-"))
def test_a_command_of_an_article_is_there_and_takes_what_is_written(
    key, command, tmp_path, monkeypatch
):
    settings = tmp_path / "ovcadmin.ini"
    settings.write_text("[app:main]\n")
    (tmp_path / "keys.pub").touch()
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(command.replace("/etc/ovcadmin.ini", str(settings)))
    found: click.Command = PROGRAMS[program]
    context = click.Context(found, info_name=program)
    while isinstance(found, click.Group) and words:
        name, found, words = found.resolve_command(context, words)
        context = click.Context(found, info_name=name, parent=context)
    if words:  # a bare name is a mention
        with CliRunner().isolation(input="a password\n" * 2):
            found.make_context(context.info_name, list(words), parent=context.parent).close()


@pytest.fixture(scope="module")
def wording() -> str:
    """Everything that pages and scripts may show, without tags."""
    files = [*(ROOT / "ovcadmin").rglob("*.pt"), *(ROOT / "ovcadmin").rglob("*.py")]
    files += (ROOT / "static/js").rglob("*.js")
    text = " ".join(path.read_text() for path in files if "migrations" not in path.parts)
    return " ".join(re.sub(r"</?(?:tal|metal):[^>]*>", "", text).split()).casefold()


@pytest.mark.parametrize("key", sorted(ARTICLES), ids="/".join)
def test_what_an_article_tells_to_press_has_that_label(key, wording):
    told = set(re.findall(r"\*\*([^*]+)\*\*", ARTICLES[key].text.body)) - STRESSED
    parts = {part.strip("… .") for label in told for part in label.split("...")}
    assert {part for part in parts if part.casefold() not in wording} == set()
