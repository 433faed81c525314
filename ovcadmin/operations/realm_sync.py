"""Synchronise a directory realm: read all of it, then bring our rows in line."""

from __future__ import annotations

from ovcadmin.engine.run import Run
from ovcadmin.engine.types import Cancel, OperationType, Step
from ovcadmin.errors import LastSuperAdmin
from ovcadmin.security.privileges import Privilege
from ovcadmin.services import realm_sync, realms
from ovcadmin.services.realm_reach import RealmReach
from ovcadmin.services.realm_sync import BATCH, TALLY, Sitting
from ovcadmin.services.realm_tally import Tally
from ovcadmin.services.rolls import Roll
from ovcadmin.services.super_admins import Keeper
from ovcadmin.work import Work


def synchronise(run: Run) -> None:
    """Safe to run again: what is in line already stays as it is, and is told already."""
    realm_id, dry = run.params["realm_id"], bool(run.params["dry"])
    so_far = None if dry else run.get(TALLY)
    told = Tally.read(so_far) if so_far else Tally()
    with run.writing() as (work, _):
        kind, begun = realms.get(work, realm_id).kind, work.now()
        reach = RealmReach(work, realm_id, told)
    directory = run.outside.directory(realm_id, run.params.get("mapping") or {})
    with Roll(directory, kind, lambda count: run.progress(count / (count + 5000) / 2)) as roll:
        run.log(f"The directory has {len(roll.keys)} users and {len(roll.groups)} groups.")
        told.people = len(roll.keys)
        even_many = bool(run.params.get("even_many"))
        with run.writing() as (work, _):
            gone = realm_sync.vanished(work, realm_id, roll, even_many=even_many)
        sitting = Sitting(
            realm_id=realm_id, dry=dry, begun=begun, told=told, reach=reach, keeper=Keeper(gone)
        )
        with run.writing() as (work, _):
            sitting.groups(work, roll.groups)
            _keep_told(run, work, sitting)
        for number, batch in enumerate(roll.batches(BATCH)):
            with run.writing() as (work, _):
                sitting.people(work, batch, roll)
                _keep_told(run, work, sitting)
            run.progress(0.5 + number * BATCH / len(roll.keys) / 2)
    for start in range(0, len(gone), BATCH):
        with run.writing() as (work, _):
            sitting.put_out(work, gone[start : start + BATCH])
            _keep_told(run, work, sitting)
        run.progress(1)
    run.set(TALLY, told.text)
    run.log(f"{'It would change' if dry else 'Changed'}: {told.words}.")
    if told.keeps:
        run.log(f"Nobody else is Super Admin of the whole cloud ({LastSuperAdmin.code}).")


def _keep_told(run: Run, work: Work, sitting: Sitting) -> None:
    """Write down what was told so far, in the transaction that changes it.

    A trial changes nothing: interrupted, it begins anew and tells all of it again.
    """
    if not sitting.dry:
        run.note(work, TALLY, sitting.told.text)


TYPES = (
    OperationType(
        name=realm_sync.TYPE,
        text="Synchronise {name}",
        privilege=Privilege.SET_GRANTS,
        cancel=Cancel.STEPS,
        steps=(Step(name="sync", text="Synchronise users and groups", run=synchronise),),
        succeed=realm_sync.ended,
        fail=realm_sync.ended,
    ),
)
