"""`ovc completion`: the script that a shell reads to complete commands, options and live names."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="\b\nExamples:\n  source <(ovc completion bash)\n  source <(ovc completion zsh)\n"
    "  ovc completion fish > ~/.config/fish/completions/ovc.fish"
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "ovc", "_OVC_COMPLETE").source())
