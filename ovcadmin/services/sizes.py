"""Sizes from `sizes.yml`.

The file is read again when it changes; a bad edit keeps the last good one and is reported with
its line.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
import yaml

from ovcadmin.config import Settings
from ovcadmin.domain import amounts
from ovcadmin.domain.sizes import MEMORY, STORAGE, VCPUS, Size
from ovcadmin.errors import InvalidInput, SettingInvalid

log = structlog.get_logger(__name__)

SHIPPED = Path(__file__).parent.parent / "sizes.yml"


@dataclass
class _Cache:
    stamp: tuple[str, int, int]
    sizes: dict[str, Size]
    trouble: str = ""


_lock = threading.Lock()
_cache: dict[Path, _Cache] = {}


def listing(settings: Settings) -> list[Size]:
    """Return the sizes in the order of the file.

    Raises `SettingInvalid` with the line when the file is bad and never was good.
    """
    return list(_current(settings.sizes_file or SHIPPED).sizes.values())


def trouble(settings: Settings) -> str:
    """Return what is wrong with the file as it stands now; empty when it is good."""
    return _current(settings.sizes_file or SHIPPED).trouble


def get(settings: Settings, name: str) -> Size:
    found = _current(settings.sizes_file or SHIPPED).sizes.get(name)
    if found is None:
        raise InvalidInput(
            "There is no such size.", fields={"size": "Choose one of the sizes in the list."}
        )
    return found


def _current(path: Path) -> _Cache:
    with _lock:
        held = _cache.get(path)
        try:
            status = path.stat()
            stamp = (str(path), status.st_mtime_ns, status.st_size)
            if held is None or held.stamp != stamp:
                held = _Cache(stamp=stamp, sizes=parse(path.read_text("utf-8"), path.name))
                _cache[path] = held
        except (OSError, SettingInvalid) as error:
            if held is None:
                raise
            if held.trouble != str(error):
                log.warning("sizes.bad_file", path=str(path), error=str(error))
            held.trouble = str(error)
        return held


def parse(text: str, name: str) -> dict[str, Size]:
    """Read the sizes; raises `SettingInvalid` naming file, line and what is wrong."""
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SettingInvalid(f"{name}, line {line}: {error.problem}.") from None
    if not isinstance(root, yaml.MappingNode) or not root.value:
        raise SettingInvalid(f"{name}, line 1: write at least one size.")
    found: dict[str, Size] = {}
    for key, value in root.value:
        line = key.start_mark.line + 1
        if key.value in found:
            raise SettingInvalid(f"{name}, line {line}: {key.value} stands there twice.")
        found[key.value] = _size(name, key.value, value, line)
    return found


_READERS: dict[str, tuple[Any, range]] = {
    "vcpus": (amounts.count, VCPUS),
    "memory": (lambda text: amounts.byte_amount(text, default_unit="KiB") // 1024, MEMORY),
    "storage": (amounts.storage_bytes, STORAGE),
}


def _size(file: str, name: str, node: yaml.Node, line: int) -> Size:
    if not isinstance(node, yaml.MappingNode):
        raise SettingInvalid(f"{file}, line {line}: {name} needs vcpus, memory and storage.")
    values: dict[str, int] = {}
    for key, value in node.value:
        at = key.start_mark.line + 1
        if key.value not in _READERS:
            raise SettingInvalid(f"{file}, line {at}: {name} has no “{key.value}”.")
        read, bounds = _READERS[key.value]
        try:
            values[key.value] = _within(bounds, read(str(value.value)))
        except ValueError as error:
            raise SettingInvalid(f"{file}, line {at}: {name} {key.value}: {error}") from None
    missing = [key for key in _READERS if key not in values]
    if missing:
        raise SettingInvalid(f"{file}, line {line}: {name} lacks {', '.join(missing)}.")
    return Size(name=name, **values)


def _within(bounds: range, value: int) -> int:
    if value not in bounds:
        raise ValueError(f"must be from {bounds.start} to {bounds.stop - 1}")
    return value
