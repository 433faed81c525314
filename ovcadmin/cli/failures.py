"""How a command can end, and what it says when it did not go well."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import IO, Any

import click

from ovcadmin.cli.text import clean


class Exit(IntEnum):
    """Exit codes by class; documented in docs/ovc.md."""

    OK = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    NOT_FOUND = 4
    FORBIDDEN = 5
    UNREACHABLE = 6
    STILL_RUNNING = 7


_BY_STATUS = {
    400: Exit.USAGE,
    401: Exit.FORBIDDEN,
    403: Exit.FORBIDDEN,
    404: Exit.NOT_FOUND,
    422: Exit.USAGE,
}


def exit_of(status: int) -> Exit:
    """Return the class of a refusal by its HTTP status."""
    if status >= 500:
        return Exit.UNREACHABLE
    return _BY_STATUS.get(status, Exit.REFUSED)


class Failure(click.ClickException):
    """The command ends with this text and exit code.

    `problem` is what the API said (problem+json), `link` the full address of its article.
    """

    def __init__(
        self, text: str, exit: Exit, *, problem: dict[str, Any] | None = None, link: str = ""
    ) -> None:
        super().__init__(text)
        self.exit_code = int(exit)  # type: ignore[misc]
        self.problem = problem or {}
        self.link = link
        self.as_json = False

    @property
    def code(self) -> str:
        """The API's stable code; empty for what went wrong on this side."""
        return str(self.problem.get("code", ""))

    def summary(self) -> dict[str, Any]:
        """Return the failure for output that programs read."""
        told = {**self.problem, "detail": self.message, "exit_code": self.exit_code}
        return {**told, "article": self.link} if self.link else told

    def show(self, file: IO[Any] | None = None) -> None:
        if self.as_json:
            click.echo(json.dumps(self.summary()), file=file, err=True)
            return
        lines = [f"{click.style('Error:', fg='red')} {clean(self.message)}"]
        lines += [
            f"  {clean(field['field'])}: {clean(field['text'])}"
            for field in self.problem.get("fields", ())
        ]
        if self.code:
            lines.append(f"  {clean(self.code)}: {clean(self.link)}")
        click.echo("\n".join(lines), file=file, err=True)


def usage(text: str) -> Failure:
    """Return the failure of a command that was typed wrongly."""
    return Failure(text, Exit.USAGE)
