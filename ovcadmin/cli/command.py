"""How commands are declared: which calls of the API they make, examples, options they share."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ovcadmin.cli import watching
from ovcadmin.cli.failures import Exit, Failure, usage
from ovcadmin.cli.output import FORMATS, Output
from ovcadmin.cli.text import clean

if TYPE_CHECKING:
    from ovcadmin.cli.client import Client

WATCH_SECONDS = 2.0
LEAST_SECONDS = 0.1
"""Between two looks."""
LONGEST = 200
"""Characters that help tells of a command in the list of all."""
_MEANT = {
    "stop": ("shutdown", "poweroff"), "restart": ("reboot", "reset"), "pause": ("suspend",),
    "ls": ("list",), "get": ("show",), "info": ("show",), "describe": ("show",),
    "new": ("create", "add", "take"), "create": ("take", "add", "enrol", "write", "lend"),
    "add": ("create", "enrol"), "make": ("create",),
    "rm": ("delete", "remove", "revoke"), "del": ("delete", "remove"),
    "update": ("edit",), "set": ("edit",), "rename": ("edit",), "modify": ("edit",),
}  # fmt: skip
"""What other tools call a command -> what it is called here; close spellings are click's part."""


class Ovc:
    """What a command works with: the console it talks to and the output it writes."""

    def __init__(self, *, profile: str | None, seconds: float | None, output: Output) -> None:
        self._profile, self._seconds = profile, seconds
        self.out = output

    @cached_property
    def client(self) -> Client:
        # Here, because neither is needed to show help or to complain about an option.
        from ovcadmin.cli import profiles  # noqa: PLC0415
        from ovcadmin.cli.client import SECONDS, Client  # noqa: PLC0415

        found = profiles.load(self._profile)
        return Client(found.url, found.token, seconds=self._seconds or SECONDS, ca=found.ca or None)

    @property
    def talks(self) -> bool:
        """Whether a person reads along and wants to be told what goes on."""
        return self.out.format == "table"

    def note(self, text: str) -> None:
        """Tell a person something that is not the result."""
        if self.out.format != "quiet":
            click.echo(text, err=True)

    def show_page(self) -> None:
        """Tell a person at a terminal which page shows the same."""
        client = self.__dict__.get("client")  # not made by a command that asked for nothing
        if client is None or not client.page or not (self.talks and sys.stdout.isatty()):
            return
        from ovcadmin.cli import direct  # noqa: PLC0415

        if direct.current is None:
            shown = f"{client.url}{client.page}"
        else:  # a link that the page around the terminal follows
            shown = f"\x1b]8;;{client.page}\x1b\\{client.page}\x1b]8;;\x1b\\"
        click.echo(f"\x1b[2m→ {shown}\x1b[0m", err=True)


def _profiles(_ctx: click.Context, _param: click.Parameter, begun: str) -> list[str]:
    from ovcadmin.cli import profiles  # noqa: PLC0415

    return [name for name in profiles.names() if name.startswith(begun)]


def _shared() -> list[click.Parameter]:
    return [
        click.Option(
            ["-o", "--output"], type=click.Choice(FORMATS), default="table", show_default=True,
            help="Form of the result.",
        ),
        click.Option(["--json"], is_flag=True, help="The same as --output json."),
        click.Option(["-q", "--quiet"], is_flag=True, help="Only ids; nothing else is told."),
        click.Option(
            ["--columns"], metavar="A,B",
            help="Columns to show; `all`; a path such as pool.id for any field.",
        ),
        click.Option(
            ["--profile"], shell_complete=_profiles, help="Profile of `ovc login`.",
        ),
        click.Option(
            ["--deadline"], type=click.FloatRange(min=0.1), metavar="SECONDS",
            help="How long one answer may take (30).",
        ),
    ]  # fmt: skip


class OvcCommand(click.Command):
    """A command with the shared options; `calls` names operations of the API's contract."""

    def __init__(
        self,
        *args: Any,
        calls: Sequence[str] = (),
        examples: Sequence[str] = (),
        watch: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.calls, self.examples = tuple(calls), tuple(examples)
        self._shared = _shared()
        self._watched = watch
        if watch:
            option = click.Option(
                ["-w", "--watch"], is_flag=False, flag_value=WATCH_SECONDS, type=float,
                metavar="[SECONDS]", help=f"Again and again, every {WATCH_SECONDS:g} seconds.",
            )  # fmt: skip
            self._shared.append(option)
        self.params.extend(self._shared)

    @property
    def shared(self) -> tuple[click.Parameter, ...]:
        """The options that every command has."""
        return tuple(self._shared)

    def invoke(self, ctx: click.Context) -> Any:
        given = ctx.params
        form = _format(given.pop("output"), json=given.pop("json"), quiet=given.pop("quiet"))
        columns = given.pop("columns")
        ctx.obj = Ovc(
            profile=given.pop("profile"),
            seconds=given.pop("deadline"),
            output=Output(form, columns),
        )
        every = given.pop("watch", None) if self._watched else None
        try:
            if every is not None:
                self._watch(ctx, max(every, LEAST_SECONDS))
            answer = super().invoke(ctx)
            ctx.obj.show_page()
        except Failure as failure:
            failure.as_json = form == "json"
            raise
        return answer

    def _watch(self, ctx: click.Context, every: float) -> NoReturn:
        """Look again and again; a console that is away for a while does not end it."""
        seen = False
        while True:
            try:
                with watching.frame():
                    super().invoke(ctx)
                seen = True
            except Failure as failure:
                if not seen or failure.exit_code != Exit.UNREACHABLE:
                    raise
                ctx.obj.note(clean(failure.message))
            time.sleep(every)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own: list[tuple[str, str]] = []
        shared: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                (shared if param in self._shared else own).append(record)
        for title, records in (("Options", own), ("Shared options", shared)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"  {line}\n")


def _format(output: str, *, json: bool, quiet: bool) -> str:
    if json and quiet:
        raise usage("Ask for --json or --quiet, not both.")
    if quiet:
        return "quiet"
    return "json" if json else output


class Noun(click.Group):
    """The commands on one kind of thing."""

    command_class = OvcCommand

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)  # in the order of their declaration: what is looked for first

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):  # whole sentences, which click would cut to a line
            formatter.write_dl(
                [(name, one.get_short_help_str(LONGEST)) for name, one in self.commands.items()]
            )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        meant = [name for name in _MEANT.get(args[0], ()) if name in self.commands]
        if meant and args[0] not in self.commands:
            raise usage(f"There is no command “{args[0]}”; did you mean {' or '.join(meant)}?")
        return super().resolve_command(ctx, args)

    def add(
        self, name: str, *, calls: Sequence[str] = (), **kwargs: Any
    ) -> Callable[[Callable[..., Any]], OvcCommand]:
        """Declare a command; its function gets the `Ovc` first."""

        def declare(function: Callable[..., Any]) -> OvcCommand:
            made = command(name, calls=calls, **kwargs)(function)
            self.add_command(made)
            return made

        return declare


def command(
    name: str, *, calls: Sequence[str] = (), **kwargs: Any
) -> Callable[[Callable[..., Any]], OvcCommand]:
    """Declare a command that stands alone."""

    def declare(function: Callable[..., Any]) -> OvcCommand:
        made = click.command(name, cls=OvcCommand, calls=calls, **kwargs)
        return made(click.pass_obj(function))

    return declare


def noun(name: str, help: str) -> Noun:
    return Noun(name, help=help)


def secret(prompt: str, *, again: bool = True) -> str:
    """Ask for a secret; where nobody is there to be asked, read a line of standard input."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt(prompt, hide_input=True, confirmation_prompt=again, err=True))


def agreed(question: str, *, yes: bool) -> None:
    """Ask before something is lost; without a person to ask, --yes must have been said."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise usage(f"{question} Say --yes when nobody is there to be asked.")
    if not click.confirm(question, err=True):
        raise Failure("Nothing was done.", Exit.FAILED)


yes_option = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
most_option = click.option(
    "--limit", "most", type=click.IntRange(min=1), metavar="N", help="So many rows at most."
)
