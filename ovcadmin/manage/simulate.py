"""`ovcadmin simulate`: stand-ins for what not everybody has, for development."""

from __future__ import annotations

import signal
import threading
from pathlib import Path

import click

from ovcadmin.testing.openvstorage import Plan, Simulator


@click.group()
def simulate() -> None:
    """Stand-ins for development, never for production."""


@simulate.command()
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--router", "routers", multiple=True, default=["sr1=127.0.0.1:8443"], show_default=True,
    metavar="NAME=HOST:PORT", help="A storage router; name it like the host that it stands on.",
)  # fmt: skip
@click.option("--vpool", "vpools", multiple=True, default=["vpool1"], show_default=True)
@click.option(
    "--mounts", type=click.Path(file_okay=False, path_type=Path),
    help="Holds the vPools' mount points; DIRECTORY/mnt when not given.",
)  # fmt: skip
@click.option("--release", type=click.Choice(["2.11", "2.9"]), default="2.11", show_default=True)
@click.option("--task-seconds", default=0.0, show_default=True, help="How long each task takes.")
@click.option(
    "--backend-seconds", default=0.0, show_default=True,
    help="How long a snapshot needs to reach the backend.",
)  # fmt: skip
def openvstorage(
    directory: Path,
    *,
    routers: tuple[str, ...],
    vpools: tuple[str, ...],
    mounts: Path | None,
    release: str,
    task_seconds: float,
    backend_seconds: float,
) -> None:
    """Run a simulated Open vStorage cluster; what it keeps stands in DIRECTORY.

    Its volumes are raw files, from which guests of this machine's hosts boot.  Faults are switched
    on by PUT /simulator/faults/.
    """
    places = dict(part.partition("=")[::2] for part in routers)
    if bad := [part for part in routers if not part.partition("=")[2].rpartition(":")[2].isdigit()]:
        raise click.UsageError(f"{bad[0]} does not look like NAME=HOST:PORT.")
    plan = Plan(
        data=directory.resolve(), routers=places, vpools=vpools,
        mounts=mounts.resolve() if mounts else None, release=release,
        task_seconds=task_seconds, backend_seconds=backend_seconds,
    )  # fmt: skip
    end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end.set())
    with Simulator(plan) as simulator:
        for name, address in simulator.addresses.items():
            click.echo(f"Storage router {name}:  {address}")
        for name in vpools:
            click.echo(f"vPool {name} is mounted at  {plan.mountpoint(name)}")
        click.echo(f"Client:       {plan.client_id}")
        click.echo(f"Secret:       {plan.client_secret}")
        click.echo(f"Certificate:  {simulator.authority}")
        end.wait()
