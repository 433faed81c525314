"""Operations whose worker died: run again if their type allows it, else end them as failed."""

from __future__ import annotations

import structlog

from ovcadmin.engine import dispatch, store, types
from ovcadmin.errors import WorkerLost
from ovcadmin.models import OperationState
from ovcadmin.work import Work

log = structlog.get_logger(__name__)


LAST_ATTEMPT = 5
"""What has cost this many workers is given to no other."""


def reap(work: Work) -> int:
    """Take care of every lapsed operation; return how many there were.

    A failed one leaves its machine to the reconciler, which asks the hypervisor what is true.
    """
    operations = store.lapsed(work.db, work.now())
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
