"""What storage pools are built of, and what their servers last said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from ovcadmin.domain import layers
from ovcadmin.errors import InvalidInput
from ovcadmin.models import StoragePool
from ovcadmin.models.database import announce
from ovcadmin.services import audit
from ovcadmin.work import Work

LONGEST_STATUS = 100_000


def describe(work: Work, store: StoragePool, typed: Sequence[str], status: str = "") -> None:
    """Write down the layers, the lowest first, with their states as `status` tells them.

    Raises `InvalidInput`.
    """
    if len(status) > LONGEST_STATUS:
        raise InvalidInput("Nothing was changed.", fields={"status": "This is too long."})
    try:
        found = [asdict(layer) for layer in layers.read(typed, status)]
    except ValueError as error:
        raise InvalidInput("Nothing was changed.", fields={"layers": str(error)}) from None
    before = lines(store)
    store.layers, store.layers_at = found, work.now()
    announce(work.db, "storage_pool", store.id, store.pool_id)
    if before != lines(store):
        audit.record(
            work, "storage_pool.layers", "storage_pool", store.id, store.name,
            pool_id=store.pool_id, before={"layers": before}, after={"layers": lines(store)},
        )  # fmt: skip


def lines(store: StoragePool) -> list[str]:
    """Return the layers as they are typed, each its kind and name."""
    return [f"{layer['kind']} {layer['name']}" for layer in store.layers]
