"""Command line tools of services, run by tests behind the console's back."""

import subprocess
from collections.abc import Mapping
from pathlib import Path


def run(
    *command: str | Path,
    text: str = "",
    env: Mapping[str, str] | None = None,
    seconds: float = 60,
) -> str:
    """Run a tool with `text` as its input; its output, or `CalledProcessError` with why not."""
    done = subprocess.run(
        command, check=False, input=text, capture_output=True, text=True, timeout=seconds,
        env=env, cwd="/",
    )  # fmt: skip
    if done.returncode:
        error = subprocess.CalledProcessError(done.returncode, command)
        error.add_note(done.stderr.strip())
        raise error
    return done.stdout
