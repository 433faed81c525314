"""Faults that can be switched on while the simulator runs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from ovcadmin.testing.openvstorage.answers import Fault


@dataclass
class Faults:
    """Numbers say how often; each time takes one away.

    Over HTTP: `GET` and `PUT /simulator/faults/` with these names as JSON, by a storage router
    that answers.  What the cluster does by itself is begun by `POST /simulator/jobs/` and `hourly`
    (a snapshot of every volume), `retention` or `sync` (volumes made or removed by hand).
    """

    refuse: list[str] = field(default_factory=list)
    """Storage routers (names) that refuse every connection, and cut those there are."""
    hang: list[str] = field(default_factory=list)
    """Storage routers that take a request and never answer."""
    errors: dict[str, int] = field(default_factory=dict)
    """Part of a path: so many calls of it are answered by 500."""
    lose_answers: int = 0
    """Changes that are begun while their answer is lost on the way."""
    lose_tasks: int = 0
    """Tasks that are never carried out and stay PENDING."""
    forget_tasks: int = 0
    """Tasks that are carried out, but whose id stays PENDING."""
    fail_tasks: list[str] = field(default_factory=list)
    """Texts with which the next tasks fail."""
    mixed_states: bool = False
    """Finished tasks say `ready` while their status is STARTED, once each."""
    forget_tokens: bool = False
    """No token is known any more, from the moment it was given out."""
    no_statistics: bool = False
    """All counters are zero, as when the volume driver does not answer."""
    halted: list[str] = field(default_factory=list)
    """vDisks (guids) that no storage router serves."""
    claimed: dict[str, str] = field(default_factory=dict)
    """vDisks (guids) that one more storage router (name) says it serves: two writers."""
    silent_alba: bool = False
    """The plugin that knows the capacity of the backend is not there."""

    def take(self, name: str) -> bool:
        """Whether this happens now; a number counts down."""
        left = getattr(self, name)
        if left:
            setattr(self, name, left - 1)
        return bool(left)

    def raise_for(self, path: str) -> None:
        """Raise the 500 that was ordered for a path."""
        for part, left in self.errors.items():
            if left and part in path:
                self.errors[part] = left - 1
                raise Fault(500, "internal_server", "simulated trouble")

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    def change(self, wanted: dict[str, Any]) -> None:
        """Set what is named; raises `KeyError` for what does not exist."""
        known = {spec.name for spec in fields(self)}
        if unknown := wanted.keys() - known:
            raise KeyError(", ".join(sorted(unknown)))
        for name, value in wanted.items():
            setattr(self, name, value)
