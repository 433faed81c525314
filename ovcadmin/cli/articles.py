"""`ovc articles`: the knowledge base, read and written in Markdown."""

from __future__ import annotations

from typing import IO, Any

import click

from ovcadmin.cli import text
from ovcadmin.cli.command import Ovc, agreed, most_option, noun, yes_option
from ovcadmin.cli.failures import usage
from ovcadmin.cli.output import Column
from ovcadmin.cli.text import clean

articles = noun("articles", "Articles of the knowledge base.")

COLUMNS = (
    Column("section"),
    Column("slug"),
    Column("title"),
    Column("tags", usual=False),
    Column("summary", usual=False),
    Column("published", usual=False),
    Column("draft", usual=False),
)
VERSION_COLUMNS = (
    Column("number", right=True),
    Column("actor"),
    Column("saved_at", show=text.moment),
    Column("published_at", show=text.moment),
    Column("note"),
)
_where = click.argument("where", metavar="SECTION/NAME")
_file = click.option("--file", type=click.File("r"), help="Its text in Markdown; - is stdin.")
_publish = click.option("--publish", is_flag=True, help="Show it to readers at once.")


def _path(where: str) -> str:
    section, _, slug = where.partition("/")
    if not section or not slug or "/" in slug:
        raise usage("Name an article by section and name, such as tutorials/first-machine.")
    return f"/knowledge/{section}/{slug}"


def _seen(ovc: Ovc, path: str) -> dict[str, str]:
    return {"If-Match": ovc.client.call("GET", path).headers["ETag"]}


@articles.add(
    "list",
    calls=["listArticles"],
    examples=["ovc articles list --q 'no console'", "ovc articles list --section errors"],
)
@click.option("--q", metavar="TEXT", help="What is looked for; best first.")
@click.option("--section", metavar="NAME")
@click.option("--tag", metavar="WORD")
@most_option
def listing(ovc: Ovc, most: int | None, **wanted: str | None) -> None:
    """List the articles, or those that answer a question."""
    ovc.out.pages(ovc.client.pages("/knowledge", most=most, **wanted), COLUMNS)


@articles.add("show", calls=["getArticle"], examples=["ovc articles show errors/quota.exceeded"])
@_where
def show(ovc: Ovc, where: str) -> None:
    """Print an article in Markdown."""
    found = ovc.client.get(_path(where))
    if ovc.out.format == "table":
        click.echo(f"# {clean(found['title'])}\n")
        click.echo("\n".join(map(clean, found["body"].split("\n"))))
    else:
        ovc.out.one(found, COLUMNS)


@articles.add(
    "create",
    calls=["createArticle"],
    examples=["ovc articles create --section tutorials --title 'Backups' --publish"],
)
@click.option("--section", required=True, metavar="NAME")
@click.option("--title", required=True, metavar="TEXT")
@click.option("--summary", default="", metavar="TEXT")
@click.option("--tag", multiple=True, metavar="WORD", help="Repeatable.")
@_file
@_publish
def create(ovc: Ovc, *, file: IO[str] | None, tag: tuple[str, ...], **given: Any) -> None:
    """Write an article."""
    body = {**given, "tags": list(tag), "body": file.read() if file else ""}
    ovc.out.one(ovc.client.call("POST", "/knowledge", body).body, COLUMNS)


@articles.add(
    "edit",
    calls=["writeArticle", "getArticle"],
    examples=["ovc articles edit tutorials/backups --summary 'How to keep data' --publish"],
)
@_where
@click.option("--title", metavar="TEXT")
@click.option("--summary", metavar="TEXT")
@click.option("--tag", multiple=True, metavar="WORD", help="Repeatable; replaces the present ones.")
@click.option("--note", metavar="TEXT", help="What was changed.")
@_file
@_publish
def edit(ovc: Ovc, *, where: str, file: IO[str] | None, tag: tuple[str, ...], **given: Any) -> None:
    """Keep a text as the draft of an article, or publish it."""
    path = _path(where)
    body = {key: value for key, value in given.items() if value is not None}
    if tag:
        body["tags"] = list(tag)
    if file is not None:
        body["body"] = file.read()
    done = ovc.client.call("PUT", path, body, headers=_seen(ovc, path)).body
    ovc.out.one(done, COLUMNS)


@articles.add(
    "delete",
    calls=["deleteArticle", "getArticle"],
    examples=["ovc articles delete tutorials/backups --yes"],
)
@_where
@yes_option
def delete(ovc: Ovc, *, where: str, yes: bool) -> None:
    """Delete an article that was written here."""
    path = _path(where)
    agreed(f"Delete {where} with all its versions?", yes=yes)
    ovc.client.call("DELETE", path, headers=_seen(ovc, path))
    ovc.note(f"{clean(where)} is deleted.")


@articles.add(
    "discard",
    calls=["discardDraft", "getArticle"],
    examples=["ovc articles discard tutorials/backups --yes"],
)
@_where
@yes_option
def discard(ovc: Ovc, *, where: str, yes: bool) -> None:
    """Throw the draft of an article away."""
    path = _path(where)
    agreed(f"Throw the draft of {where} away?", yes=yes)
    ovc.client.call("DELETE", f"{path}/draft", headers=_seen(ovc, path))


@articles.add(
    "shipped",
    calls=["chooseShippedText", "getArticle"],
    examples=["ovc articles shipped errors/quota.exceeded --take"],
)
@_where
@click.option("--take/--keep", required=True, help="This release's text, or your own.")
def shipped(ovc: Ovc, *, where: str, take: bool) -> None:
    """Take the text of this release, or keep your own."""
    path = _path(where)
    body = {"action": "take" if take else "keep"}
    done = ovc.client.call("POST", f"{path}/shipped", body, headers=_seen(ovc, path)).body
    ovc.out.one(done, COLUMNS)


@articles.add(
    "versions",
    calls=["listArticleVersions", "getArticleVersion"],
    examples=[
        "ovc articles versions tutorials/backups",
        "ovc articles versions tutorials/backups --number 2 --json",
    ],
)
@_where
@click.option("--number", type=click.IntRange(min=1), help="Show this one with its text.")
def versions(ovc: Ovc, where: str, number: int | None) -> None:
    """List the versions of an article, newest first."""
    path = f"{_path(where)}/versions"
    if number is not None:
        ovc.out.one(ovc.client.get(f"{path}/{number}"), VERSION_COLUMNS)
    else:
        ovc.out.rows(ovc.client.get(path)["items"], VERSION_COLUMNS)


@articles.add(
    "restore",
    calls=["restoreArticleVersion", "getArticle"],
    examples=["ovc articles restore tutorials/backups 2"],
)
@_where
@click.argument("number", type=click.IntRange(min=1))
def restore(ovc: Ovc, where: str, number: int) -> None:
    """Publish an earlier version once more."""
    path = _path(where)
    found = ovc.client.call("POST", f"{path}/versions/{number}", headers=_seen(ovc, path)).body
    ovc.out.one(found, COLUMNS)


@articles.add(
    "rate", calls=["rateArticle"], examples=["ovc articles rate tutorials/backups --helped"]
)
@_where
@click.option("--helped/--no-help", required=True)
def rate(ovc: Ovc, *, where: str, helped: bool) -> None:
    """Say whether an article helped you."""
    ovc.client.call("PUT", f"{_path(where)}/opinion", {"helped": helped})


@articles.add("care", calls=["getKnowledgeCare"], examples=["ovc articles care --json"])
def care(ovc: Ovc) -> None:
    """List what waits for an editor: drafts, and new texts of this release."""
    found = ovc.client.get("/knowledge-care")
    rows = [{**row, "what": kind[:-1]} for kind in ("drafts", "offers") for row in found[kind]]
    ovc.out.raw(found, rows, (Column("what"), Column("section"), Column("slug"), Column("title")))
