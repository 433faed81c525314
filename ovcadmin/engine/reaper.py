"""Operations whose worker died: run again if their type allows it, else end them as failed."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

import structlog

from ovcadmin.engine import dispatch, store, types
from ovcadmin.errors import WorkerLost
from ovcadmin.models import OperationState
from ovcadmin.work import Work

log = structlog.get_logger(__name__)


LAST_ATTEMPT = 5
"""What has cost this many workers is given to no other."""


class Steady:
    """Whether leases can be judged by the clock: not just after it was set.

    Then all of them look as if they had run out, or as if they never would, until those who live
    have renewed theirs.
    """

    def __init__(self, now: datetime) -> None:
        self._last = now, time.monotonic()
        self._from = 0.0

    def holds(self, now: datetime, lease: timedelta) -> bool:
        """Look at the clock beside one that nobody sets."""
        passed = time.monotonic()
        by_clock = now - self._last[0]
        if abs(by_clock - timedelta(seconds=passed - self._last[1])) > lease / 3:
            log.warning("clock.was_set", now=now.isoformat())
            self._from = passed + lease.total_seconds()
        self._last = now, passed
        return passed >= self._from


def reap(work: Work, steady: Steady | None = None) -> int:
    """Take care of every lapsed operation; return how many there were.

    A failed one leaves its machine to the reconciler, which asks the hypervisor what is true.
    """
    lease = timedelta(seconds=work.settings.operation_lease_seconds)
    operations = store.lapsed(work.db, work.now(), lease)
    # After it was read: the clock may have been set just now.
    if steady is not None and not steady.holds(work.now(), lease):
        return 0
    for operation in operations:
        kind = types.get(operation.type)
        log.warning("operation.lapsed", operation=operation.id, worker=operation.worker)
        if kind.retryable and operation.attempt < LAST_ATTEMPT:
            store.requeue(work.db, operation, work.now())
            continue
        error = WorkerLost(
            f"The worker went away in the middle of “{operation.title}” (attempt "
            f"{operation.attempt}); it may be half done. "
            "The machine is shown as its host reports it.",
        )
        operation.error_code, operation.error_text = error.code, error.text
        store.note(work.db, operation, error.text, work.now())
        if kind.fail is not None:
            kind.fail(work, operation)
        store.end(work.db, operation, OperationState.FAILED, work.now())
    if operations:
        dispatch.tell(work.db, *operations)
    return len(operations)
