"""Asking again for what a failed or cancelled operation was to do, by the same rules."""

from __future__ import annotations

from ovcadmin.domain.states import Action
from ovcadmin.engine import types
from ovcadmin.errors import Conflict, NotFound, StateConflict
from ovcadmin.models import Machine, Operation, OperationState
from ovcadmin.services import (
    clones,
    device_retries,
    images,
    machines,
    realm_sync,
    realms,
    snapshots,
    storage,
)
from ovcadmin.work import Work


def retry(work: Work, operation: Operation) -> Operation:
    """Queue a new operation like this one.  Raises what the first request could have raised."""
    if operation.state not in (OperationState.FAILED, OperationState.CANCELLED):
        raise StateConflict("Only a failed or cancelled operation can be tried again.")
    action = types.get(operation.type).action
    if operation.machine is not None and action is not None:
        if operation.machine.deleted_at is not None:
            raise NotFound(f"{operation.machine.name} is deleted.")
        if action in (Action.RESIZE, Action.CHANGE):
            return device_retries.retry(work, operation.machine, operation)
        return _again(work, operation, operation.machine, action)
    if operation.type == realm_sync.TYPE:
        realm = realms.get(work, int(operation.params["realm_id"]))
        return realm_sync.submit(work, realm, dry=bool(operation.params["dry"]))
    return _copy_image(work, operation)


def _again(work: Work, operation: Operation, machine: Machine, action: Action) -> Operation:
    params = operation.params
    if operation.type == snapshots.TAKE:
        return snapshots.take(work, machine, str(params["snapshot"]))
    if operation.type == snapshots.ROLL_BACK:
        return snapshots.roll_back(work, snapshots.get(work, int(params["snapshot_id"])))
    if operation.type == snapshots.DELETE:
        return snapshots.delete(work, snapshots.get(work, int(params["snapshot_id"])))
    if operation.type in (clones.CLONE, clones.TEMPLATE):
        raise StateConflict("Ask for the copy anew on the machine's page, by a name of its own.")
    return machines.act(work, machine, action)


def _copy_image(work: Work, operation: Operation) -> Operation:
    image = images.get(work, operation.image_id or 0)
    store = storage.get(work, int(operation.params["storage_pool_id"]))
    again = images.spread(work, image, store)
    if again is None:
        raise Conflict(f"{image.name} is in {store.name} already, or on its way there.")
    return again
