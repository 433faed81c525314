"""Tasks: an id first, the work later, and states that are read one after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ovcadmin.testing.openvstorage.faults import Faults
from ovcadmin.testing.openvstorage.objects import new_guid

PENDING_PART = 0.2
"""Part of a task's time before it is started."""


@dataclass
class Task:
    id: str
    status: str = "PENDING"
    result: Any = None
    hidden: bool = False
    """Its id reads as unknown."""
    mixed: bool = False

    @property
    def finished(self) -> bool:
        return self.status in ("SUCCESS", "FAILURE")

    def plain(self) -> dict[str, Any]:
        status = "PENDING" if self.hidden else self.status
        shown = {
            "id": self.id,
            "status": status,
            "successful": status == "SUCCESS",
            "failed": status == "FAILURE",
            "ready": status in ("SUCCESS", "FAILURE"),
            "result": None if self.hidden else self.result,
        }
        if self.mixed and shown["ready"]:
            self.mixed = False
            shown |= {"status": "STARTED", "successful": False, "failed": False}
        return shown


class Tasks:
    def __init__(self, faults: Faults, seconds: float) -> None:
        self._faults = faults
        self._seconds = seconds
        self._tasks: dict[str, Task] = {}
        self.begun = 0

    def submit(self, work: Callable[[], Any]) -> str:
        task = Task(new_guid(), mixed=self._faults.mixed_states)
        self._tasks[task.id] = task
        self.begun += 1
        if self._faults.take("lose_tasks"):
            return task.id
        task.hidden = self._faults.take("forget_tasks")
        failure = self._faults.fail_tasks.pop(0) if self._faults.fail_tasks else None
        threading.Thread(target=self._run, args=(task, work, failure), daemon=True).start()
        return task.id

    def show(self, task_id: str) -> dict[str, Any]:
        """An unknown id is one that waits for ever."""
        return self._tasks.get(task_id, Task(task_id)).plain()

    def _run(self, task: Task, work: Callable[[], Any], failure: str | None) -> None:
        time.sleep(self._seconds * PENDING_PART)
        task.status = "STARTED"
        time.sleep(self._seconds * (1 - PENDING_PART))
        if failure is not None:
            task.result, task.status = failure, "FAILURE"
            return
        try:
            task.result = work()
        except Exception as error:  # noqa: BLE001 - whatever it is, the task's text tells it
            task.result = str(error)
            task.status = "FAILURE"
        else:
            task.status = "SUCCESS"
