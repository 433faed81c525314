"""`ovcadmin docs man`: the manual page of `ovc`, written from its commands."""

from __future__ import annotations

import click

from ovcadmin.cli.command import OvcCommand
from ovcadmin.cli.main import root
from ovcadmin.manage.commands import commands

_HEAD = r""".\" Written by: ovcadmin docs man
.TH OVC 1 "" OpenvCloud "User Commands"
.SH NAME
ovc \- OpenvCloud from the command line
.SH SYNOPSIS
.B ovc
.I COMMAND
.RI [ OPTION .\|.\|.]
.RI [ NAME .\|.\|.]
.SH DESCRIPTION
"""
_TAIL = r""".SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
an operation failed or was cancelled; of several things, some did not succeed
.TP
.B 2
typed wrongly, or a value that cannot be
.TP
.B 3
refused: by state, quota, or because somebody else was faster
.TP
.B 4
not there, or not for you to see
.TP
.B 5
not signed in, or not allowed
.TP
.B 6
the console cannot be reached, or failed
.TP
.B 7
still running when \-\-timeout was over
.TP
.B 130
interrupted
.SH ENVIRONMENT
.TP
.B OVC_URL, OVC_TOKEN, OVC_CA
Address, token and trusted certificates of the console, instead of those of the profile.
.TP
.B OVC_PROFILE
Profile of ovc login that is used.
.TP
.B OVC_KEYRING
off keeps tokens in the file of profiles instead of the key ring.
.TP
.B NO_COLOR
Leaves colours out.
.SH FILES
.TP
.I ~/.config/ovc/profiles.ini
Profiles; with their tokens where there is no key ring.
"""


def man_page() -> str:
    """Return the manual page in roff."""
    parts = [_HEAD, f"{_text(root.help or '')}\n", ".SH COMMANDS\n"]
    for path, command in commands().items():
        parts.append(_command(path, command))
    return "".join(parts) + _TAIL


def _command(path: str, command: click.Command) -> str:
    ctx = click.Context(command, info_name=path)
    usage = " ".join(command.collect_usage_pieces(ctx))
    lines = [".TP\n", f".B {_text(path)} {_text(usage)}\n", f"{_text(command.help or '')}\n"]
    shared = command.shared if isinstance(command, OvcCommand) else ()
    for param in command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None and param not in shared and "--help" not in record[0]:
            lines.append(f".RS\n.TP\n.B {_text(record[0])}\n{_text(record[1])}\n.RE\n")
    if isinstance(command, OvcCommand) and command.examples:
        lines.append(f".RS\n.PP\n.EX\n{_text(chr(10).join(command.examples))}\n.EE\n.RE\n")
    return "".join(lines)


def _text(text: str) -> str:
    """Write text so that roff takes nothing of it for a request of its own."""
    plain = text.replace("\b", "").replace("\\", r"\e").replace("-", r"\-").replace("`", "")
    lines = (line.strip() for line in plain.strip().split("\n"))
    marked = (rf"\&{line}" if line.startswith((".", "'")) else line for line in lines if line)
    return "\n".join(marked)
