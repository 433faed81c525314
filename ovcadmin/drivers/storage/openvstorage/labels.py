"""Snapshots by their labels: the name that people gave, and a mark by which we find ours again."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote, unquote

from ovcadmin.drivers.storage.base import SnapshotFacts
from ovcadmin.drivers.storage.openvstorage.client import Item
from ovcadmin.errors import StorageFailed

TEMPLATE = "template "
"""Begins the names of snapshots that images are: they keep their volume from being deleted."""
LABEL_BYTES = 900
"""All that is kept of a snapshot must fit into 4096 bytes."""
_MARKED = re.compile(r"(?P<name>.*) #(?P<mark>[0-9a-f]{12})", re.DOTALL)


def label(name: str, mark: str) -> str:
    """Return a label of ASCII that is short enough, with our mark at its end."""
    escaped = quote(name, safe=" !$&'()*+,-./:;<=>?@[]^_`{|}~")[:LABEL_BYTES]
    return f"{re.sub(r'%[0-9A-F]?$', '', escaped)} #{mark}"


def is_mark(text: str) -> bool:
    return bool(re.fullmatch(r"[0-9a-f]{12}", text))


def marked(disk: Item, mark: str) -> Item | None:
    end = f" #{mark}"
    return next((item for item in disk["snapshots"] if item["label"].endswith(end)), None)


def templates(items: list[Item]) -> list[str]:
    """Return the names of the templates among snapshots."""
    found = (_MARKED.fullmatch(item["label"]) for item in items)
    names = (match["name"] for match in found if match)
    return [name.removeprefix(TEMPLATE) for name in names if name.startswith(TEMPLATE)]


def snapshot(disk: str, item: Item) -> SnapshotFacts:
    match = _MARKED.fullmatch(item["label"])
    name = unquote(match["name"], errors="ignore") if match else item["label"]
    return SnapshotFacts(
        key=f"{disk}@{item['guid']}",
        name=name,
        created=datetime.fromtimestamp(float(item["timestamp"]), tz=UTC),
    )


def ensure_of(disk: Item, key: str) -> None:
    if key.rpartition("@")[0] not in ("", disk["guid"]):
        raise StorageFailed(f"{key} is no snapshot of {disk['name']}.")
