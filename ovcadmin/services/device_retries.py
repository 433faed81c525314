"""Asking again for a change of a machine's devices, by the rules of the first time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ovcadmin.models import Machine, Operation
from ovcadmin.services import devices, drives
from ovcadmin.work import Work

Params = dict[str, Any]


def retry(work: Work, machine: Machine, operation: Operation) -> Operation:
    params = dict(operation.params)
    again = _AGAIN.get(operation.type)
    if again is None:
        return devices.ask(work, machine, operation.type, params)
    return again(work, machine, params)


def _resize(work: Work, machine: Machine, params: Params) -> Operation:
    return devices.resize(work, machine, vcpus=params["vcpus"], memory=params["memory"])


def _drive_add(work: Work, machine: Machine, params: Params) -> Operation:
    return drives.add(work, machine, params["size"], swap=params["swap"])


def _drive_grow(work: Work, machine: Machine, params: Params) -> Operation:
    volume = devices.drive(work, machine, params["target"])
    return drives.grow(work, machine, volume, params["size"])


def _drive_remove(work: Work, machine: Machine, params: Params) -> Operation:
    volume = devices.drive(work, machine, params["target"])
    return drives.remove(work, machine, volume, keep=params["keep"])


def _card_add(work: Work, machine: Machine, params: Params) -> Operation:
    return drives.add_card(work, machine, network=params["network"], mac=params["mac"])


def _card_remove(work: Work, machine: Machine, params: Params) -> Operation:
    return drives.remove_card(work, machine, devices.card(work, machine, params["mac"]))


_AGAIN: dict[str, Callable[[Work, Machine, Params], Operation]] = {
    "machine.resize": _resize,
    "machine.drive_add": _drive_add,
    "machine.drive_grow": _drive_grow,
    "machine.drive_remove": _drive_remove,
    "machine.card_add": _card_add,
    "machine.card_remove": _card_remove,
}
"""What is judged anew; all else is asked for as it was."""
