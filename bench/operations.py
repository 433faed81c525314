"""The operation engine: how soon a queued operation is claimed, and how many end in a second.

One worker process; operations with one step that only writes a line, on five locks.  The time
from queued to claimed is read from the rows: it begins before the commit that queues.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench._report import percentile, report
from tests import rig
from tests.integration.test_engine import LOCKS, Trial
from tests.rig.console import console

SINGLE = 100
MANY = 300


def measure(kind: str, database_url: str, directory: Path) -> None:
    with console(directory, database_url, operation_lease_seconds=15) as made:
        trial = Trial(made)
        worker = trial.worker()
        warm = trial.submit("mark")
        made.ended(warm)

        waits = []
        for number in range(SINGLE):
            operation = made.ended(trial.submit("mark", number % LOCKS))
            assert operation.started_at is not None
            waits.append(1000 * (operation.started_at - operation.created_at).total_seconds())
        report(f"{kind}: queued to claimed, p50", percentile(waits, 50), "ms", aim=50)
        report(f"{kind}: queued to claimed, p95", percentile(waits, 95), "ms", aim=100)

        worker.stop()
        begun = time.monotonic()
        ids = [trial.submit("mark", number % LOCKS) for number in range(MANY)]
        report(f"{kind}: queued by one client", MANY / (time.monotonic() - begun), "operations/s")
        trial.worker()
        while not all(made.operation(number).ended for number in ids[-LOCKS:]):
            time.sleep(0.5)  # rarely: looking costs what is measured
        rows = [made.operation(number) for number in ids]
        first = min(row.started_at for row in rows if row.started_at)
        last = max(row.finished_at for row in rows if row.finished_at)
        report(f"{kind}: run by one worker", MANY / (last - first).total_seconds(), "operations/s")


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        measure("SQLite", f"sqlite:///{directory}/ovcadmin.db", Path(directory))
    with rig.postgres() as server, tempfile.TemporaryDirectory() as directory:
        measure("PostgreSQL", server.new_database(), Path(directory))


if __name__ == "__main__":
    main()
