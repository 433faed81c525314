"""Migrating machines, and why a machine can or cannot go to a host."""

from __future__ import annotations

from typing import Any

from ovcadmin.cli import bulk
from ovcadmin.cli.command import Noun, Ovc
from ovcadmin.cli.names import find, id_of, option, reference, references
from ovcadmin.cli.output import Column
from ovcadmin.cli.progress import timeout_option, wait_option

COLUMNS = (
    Column("host"),
    Column("fits"),
    Column("score", right=True),
    Column("why"),
    Column("remedy", usual=False),
)


def add_to_machines(machines: Noun) -> None:
    @machines.add(
        "migrate",
        calls=["migrateMachine"],
        examples=["ovc machines migrate web01 --host kvm-b --wait", "ovc machines migrate web01"],
    )
    @references("machine")
    @option("host", "Where it goes; the best host when not given.")
    @wait_option
    @timeout_option
    def migrate(
        ovc: Ovc, names: tuple[str, ...], *, host: str | None, wait: bool, timeout: float | None
    ) -> None:
        """Move machines to another host, running or stopped."""
        host_id = id_of(ovc.client, "host", host)
        body = {} if host_id is None else {"host_id": host_id}

        def ask(machine: dict[str, Any]) -> dict[str, Any]:
            answer = ovc.client.call("POST", f"/machines/{machine['id']}/migrate", body).body
            operation: dict[str, Any] = answer["operation"]
            return operation

        bulk.run(ovc, "machine", names, ask, wait=wait, timeout=timeout)

    @machines.add(
        "placement", calls=["explainMigration"], examples=["ovc machines placement web01"]
    )
    @reference("machine")
    def placement(ovc: Ovc, name: str) -> None:
        """Say where a machine could be moved to, and why not elsewhere."""
        machine_id = find(ovc.client, "machine", name)["id"]
        _tell(ovc, ovc.client.get(f"/machines/{machine_id}/placement"))


def add_to_pools(pools: Noun) -> None:
    @pools.add(
        "placement",
        calls=["explainPlacement"],
        examples=["ovc pools placement Web --image Starter --size small"],
    )
    @reference("pool")
    @option("image", "What it would be made from.", required=True)
    @option("size", "One of `ovc sizes list`.", required=True)
    def placement(ovc: Ovc, *, name: str, image: str, size: str) -> None:
        """Say where a new machine would go, and why not elsewhere."""
        pool_id = id_of(ovc.client, "pool", name)
        image_id = id_of(ovc.client, "image", image)
        _tell(ovc, ovc.client.get(f"/pools/{pool_id}/placement", image_id=image_id, size=size))


def _tell(ovc: Ovc, told: dict[str, Any]) -> None:
    rows = [
        {
            "host": one["host"]["name"],
            "fits": one["fits"],
            "score": one["score"],
            "why": "; ".join(check["text"] for check in one["checks"] if not check["passed"]),
            "remedy": " ".join(check["remedy"] for check in one["checks"] if not check["passed"]),
        }
        for one in told["items"]
    ]
    ovc.out.raw(told, rows, COLUMNS)
    for change in told["smallest_change"]:
        ovc.note(f"It would help: {change}")
