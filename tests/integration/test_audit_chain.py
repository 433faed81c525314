"""The chain over the audit log, made by a real worker and followed by the local command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from ovcadmin.services import audit_seals, pools
from tests.rig.base import ROOT, wait_until
from tests.rig.console import Console, console


def verify(made: Console, *options: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-W", "ignore", "-m", "ovcadmin.manage.main", "audit", "verify"]
    return subprocess.run(
        [*words, made.ini, *options], capture_output=True, text=True, cwd=ROOT, check=False
    )


def sealed(made: Console) -> bool:
    with made.work() as work:
        return audit_seals.verify(work).waiting == 0


@pytest.mark.requirement("PEER-27")
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_worker_seals_and_the_command_tells_the_first_broken_link(
    tmp_path: Path, database_url: str
):
    with console(tmp_path, database_url) as made:
        made.worker()
        with made.work(write=True) as work:
            for number in range(5):
                pools.create(work, pools.root(work), name=f"pool{number}")
        wait_until(lambda: sealed(made), "every row to be sealed", 20)
        good = verify(made)
        assert good.returncode == 0
        head = good.stdout.partition("Head: ")[2].split()[0]
        assert verify(made, "--noted", head).returncode == 0

        with made.work(write=True) as work:
            work.db.execute(
                text("UPDATE audit SET object_name = 'else' WHERE object_name = 'pool3'")
            )
        bad = verify(made)
        assert bad.returncode == 1
        assert "of the audit log, or the link, was changed" in bad.stderr
