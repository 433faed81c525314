"""States as they are shown: word, shape and tone, never colour alone."""

from __future__ import annotations

from typing import Any

from ovcadmin.services.machines import Badge

_OPERATION = {
    "queued": ("waiting", "dashes", "busy"),
    "running": ("running", "ring", "busy"),
    "done": ("done", "circle", "running"),
    "failed": ("failed", "triangle", "error"),
    "cancelled": ("cancelled", "cross", "stopped"),
}

_STEP = {
    "waiting": ("waiting", "dashes", "stopped"),
    "running": ("running", "ring", "busy"),
    "done": ("done", "circle", "running"),
    "failed": ("failed", "triangle", "error"),
    "undone": ("taken back", "cross", "stopped"),
}

_POWER = {
    "running": ("running", "circle", "running"),
    "paused": ("suspended", "bars", "warning"),
    "shutoff": ("stopped", "square", "stopped"),
    "shutting_down": ("shutting down", "ring", "busy"),
    "crashed": ("crashed", "triangle", "error"),
    "saved": ("saved", "tray", "stopped"),
}


def operation_badge(operation: Any) -> Badge:
    word, shape, tone = _OPERATION[operation.state]
    if operation.state == "running":
        word = "cancelling" if operation.cancel_at is not None else word
        return Badge(word=word, shape=shape, tone=tone, percent=operation.progress)
    return Badge(word=word, shape=shape, tone=tone)


def step_badge(step: Any) -> Badge:
    word, shape, tone = _STEP[step.state]
    return Badge(word=word, shape=shape, tone=tone)


def power_badge(power: str) -> Badge:
    """Show the power state of a domain that is none of our machines."""
    word, shape, tone = _POWER.get(power, (power or "unknown", "diamond", "unknown"))
    return Badge(word=word, shape=shape, tone=tone)


def host_badge(host: Any) -> Badge:
    if host.state == "up":
        return Badge(word="up", shape="circle", tone="running")
    if host.state == "new":
        return Badge(word="never answered", shape="diamond", tone="unknown", since=host.created_at)
    return Badge(word="does not answer", shape="triangle", tone="error", since=host.state_since)


def cluster_badge(cluster: Any) -> Badge:
    if cluster.state == "up":
        return Badge(word="up", shape="circle", tone="running", since=cluster.state_since)
    if cluster.state == "new":
        return Badge(word="not asked yet", shape="diamond", tone="unknown")
    return Badge(word="silent", shape="triangle", tone="error", since=cluster.state_since)


def path_badge(path: dict[str, Any]) -> Badge:
    """A way to storage that has several."""
    return (
        Badge(word="up", shape="circle", tone="running")
        if path["up"]
        else Badge(word="lost", shape="triangle", tone="error")
    )


def layer_badge(layer: dict[str, Any]) -> Badge:
    """What a storage server says of a layer below its storage."""
    if layer["good"]:
        return Badge(word=layer["state"], shape="circle", tone="running")
    return Badge(word=layer["state"], shape="triangle", tone="warning")


def _whole(store: Any) -> bool:
    """Whether all that a storage pool is built of is well, by the last word of its server."""
    return all(layer["good"] for layer in store.layers)


def storage_badge(store: Any) -> Badge:
    if store.observed_at is None:
        return Badge(word="never answered", shape="diamond", tone="unknown", since=store.created_at)
    if store.active and not (all(path["up"] for path in store.paths) and _whole(store)):
        return Badge(word="degraded", shape="triangle", tone="warning", since=store.observed_at)
    if store.active:
        return Badge(word="active", shape="circle", tone="running")
    return Badge(word="inactive", shape="triangle", tone="error", since=store.observed_at)
