"""`ovc shell`: commands one after the other, with history and completion.

The same prompt runs in the pages' terminal.  A line is one command: nothing in it has a meaning to
any other program, and quotes only hold words together.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import ShellComplete

from ovcadmin.cli.failures import Exit, Failure, usage

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession
    from prompt_toolkit.document import Document

LONGEST_LINE = 8 * 1024
"""Characters of one line; more is no command."""
LONGEST_PASTE = 64 * 1024
LEAVE = frozenset({"exit", "quit", "logout"})
HELLO = "Tab completes, \x1b[1mhelp\x1b[0m lists the commands, \x1b[1mexit\x1b[0m leaves."


@click.command(epilog="\b\nExamples:\n  ovc shell")
@click.pass_context
def shell(ctx: click.Context) -> None:
    """Type commands one after the other, with history and completion."""
    run(ctx.find_root().command, _once)


def _once(words: list[str]) -> None:
    from ovcadmin.cli.main import run_words  # noqa: PLC0415 - it imports the commands

    run_words(words)


def run(root: click.Command, once: Callable[[list[str]], object]) -> None:
    """Read commands until the person leaves; `once` runs one and tells what went wrong."""
    click.echo(HELLO)
    asked = _prompt(root)
    while True:
        try:
            text = asked.prompt()
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
        for line in text.splitlines():
            words = _words(line)
            if words and words[0] in LEAVE:
                return
            if words:
                _survive(once, words)


def _survive(once: Callable[[list[str]], object], words: list[str]) -> None:
    """Run one command; what goes wrong in it ends the command only."""
    try:
        once(words)
    except Exception as error:  # noqa: BLE001 - the next command may well work
        Failure(f"The command failed: {type(error).__name__}: {error}", Exit.FAILED).show()


def _words(line: str) -> list[str]:
    """Split a line as a shell would, and nothing more; says so when it cannot be split."""
    if len(line) > LONGEST_LINE:
        usage(f"A command has at most {LONGEST_LINE} characters.").show()
        return []
    try:
        words = shlex.split(line)
    except ValueError:
        usage("A quote is open: close it, or put it into other quotes.").show()
        return []
    if words and words[0] == "ovc":
        del words[0]
    return ["--help"] if words == ["help"] else words


def _prompt(root: click.Command) -> PromptSession[str]:
    from prompt_toolkit import PromptSession  # noqa: PLC0415 - only this command needs it
    from prompt_toolkit.completion import Completer, Completion  # noqa: PLC0415
    from prompt_toolkit.formatted_text import FormattedText  # noqa: PLC0415
    from prompt_toolkit.history import InMemoryHistory  # noqa: PLC0415
    from prompt_toolkit.shortcuts import CompleteStyle  # noqa: PLC0415

    class Commands(Completer):
        def get_completions(self, document: Document, _event: Any) -> Iterator[Completion]:
            for word, begun, hint in _endings(root, document.text_before_cursor):
                yield Completion(word, start_position=-begun, display_meta=hint)

    return PromptSession(
        FormattedText([("ansicyan bold", "ovc"), ("", "> ")]),
        completer=Commands(),
        complete_style=CompleteStyle.READLINE_LIKE,  # a menu has no room in a low drawer
        complete_while_typing=False,
        history=InMemoryHistory(),
        enable_history_search=True,
        key_bindings=_keys(),
    )


def _keys() -> Any:
    """A paste is taken as it is, but not one of any length."""
    from prompt_toolkit.key_binding import KeyBindings  # noqa: PLC0415
    from prompt_toolkit.keys import Keys  # noqa: PLC0415

    keys = KeyBindings()

    @keys.add(Keys.BracketedPaste)
    def paste(event: Any) -> None:
        text = event.data.replace("\r\n", "\n").replace("\r", "\n")
        if len(text) > LONGEST_PASTE:
            event.app.output.bell()
        else:
            event.current_buffer.insert_text(text)

    return keys


def _endings(root: click.Command, text: str) -> Iterator[tuple[str, int, str]]:
    """Yield what may follow: the word, how many characters of it are there, what it is."""
    if len(text) > LONGEST_LINE:
        return
    words, begun, typed = _begun(text)
    if words[:1] == ["ovc"]:
        del words[0]
    for item in ShellComplete(root, {}, "ovc", "").get_completions(words, begun):
        if item.type == "plain":
            yield shlex.quote(item.value), typed, item.help or ""


def _begun(text: str) -> tuple[list[str], str, int]:
    """Return the whole words, the last one as far as it goes, and how many characters that takes.

    An open quote belongs to the last word.
    """
    start, quote = 0, ""
    for place, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char.isspace():
            start = place + 1
    last = text[start:]
    return shlex.split(text[:start]), last.replace("'", "").replace('"', ""), len(last)
