"""`ovc api`: any call of the REST API, for what has no command of its own."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from ovcadmin.cli.command import Ovc, command
from ovcadmin.cli.failures import usage

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@command(
    "api",
    examples=[
        "ovc api GET /machines -p state=running",
        "ovc api POST /machines/7/actions/start",
        "ovc api PUT /pools/2/quota -d '{\"vcpus\": 8}'",
        "ovc api GET /machines --all",
    ],
)
@click.argument("method", type=click.Choice(METHODS, case_sensitive=False))
@click.argument("path")
@click.option("-p", "--param", "params", multiple=True, metavar="NAME=VALUE", help="Of the query.")
@click.option("-H", "--header", "headers", multiple=True, metavar="NAME:VALUE")
@click.option("-d", "--data", help="The body as JSON; - reads it from standard input.")
@click.option("--all", "every", is_flag=True, help="Follow the cursors of a list to its end.")
def api(
    ovc: Ovc, *, method: str, path: str, params: tuple[str, ...], headers: tuple[str, ...],
    data: str | None, every: bool,
) -> None:  # fmt: skip
    """Send METHOD to PATH below /api/v1 and print the JSON that comes back."""
    path = "/" + path.removeprefix("/api/v1").lstrip("/")
    query: dict[str, Any] = dict(_pair(text, "=") for text in params)
    sent = dict(_pair(text, ":") for text in headers)
    if every:
        rows = [row for page in ovc.client.pages(path, **query) for row in page]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    answer = ovc.client.call(method, path, _body(data), query=query, headers=sent)
    if isinstance(answer.body, str):
        click.echo(answer.body, nl=False)
    elif answer.body is not None:
        click.echo(json.dumps(answer.body, indent=2, ensure_ascii=False))


def _pair(text: str, between: str) -> tuple[str, str]:
    name, found, value = text.partition(between)
    if not found or not name.strip():
        raise usage(f"“{text}” is not NAME{between}VALUE.")
    return name.strip(), value.strip()


def _body(data: str | None) -> Any:
    if data is None:
        return None
    try:
        return json.loads(sys.stdin.read() if data == "-" else data)
    except ValueError as error:
        raise usage(f"The body is no JSON: {error}") from error
