"""Bringing the users and groups of a directory realm in line with what the directory says.

The whole answer is read first (`rolls.Roll`); then groups, people in batches, and last those who
vanished, each in a short transaction.  Whoever vanished is disabled, never deleted, and comes
back when the directory has him again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import or_, select

from ovcadmin.drivers.directory.base import Group as Found
from ovcadmin.drivers.directory.base import Person
from ovcadmin.errors import Conflict, DirectoryPartial, LastSuperAdmin
from ovcadmin.models import Group, Operation, Realm, User
from ovcadmin.services import audit, directory_people, operations, pools, realms
from ovcadmin.services.realm_reach import RealmReach
from ovcadmin.services.realm_tally import Tally
from ovcadmin.services.realms import Directories
from ovcadmin.services.rolls import Roll
from ovcadmin.services.super_admins import Keeper
from ovcadmin.work import Work

TYPE = "realm.sync"
BATCH = 250
MANY = 20
"""From so many users on, more than half of them vanishing at once is taken for a mistake."""
RECENT = 200
TALLY = "tally"
"""Key of the note of the step that holds what was told so far."""


def submit(work: Work, realm: Realm, *, dry: bool, even_many: bool = False) -> Operation:
    """Ask for a synchronisation; a dry one changes nothing and lists what would change."""
    if not realm.enabled and not dry:
        raise Conflict(f"{realm.label} is disabled: enable it first, or try without changes.")
    return _submit(work, realm, {"dry": dry, "even_many": even_many})


def try_mapping(
    work: Work, doors: Directories, realm: Realm, mapping: Mapping[str, str], *, even_many: bool
) -> Operation:
    """Ask what a synchronisation would change if the realm took in other people or groups.

    `mapping` holds some of `realms.MAPPING`; told is what differs.  The realm stays as it is.
    Raises `InvalidInput` when no driver can be made of it.
    """
    given = {name: mapping[name].strip() for name in realms.MAPPING if name in mapping}
    wanted = {name: text for name, text in given.items() if text != realm.settings.get(name, "")}
    doors.validate(realms.contact(work, realm).mapped(wanted))
    return _submit(work, realm, {"dry": True, "even_many": even_many, "mapping": wanted})


def mapping(operation: Operation) -> dict[str, str]:
    """Return the bases and filters that a trial was asked for with; empty: the realm's own."""
    found: dict[str, str] = operation.params.get("mapping") or {}
    return found


def trial(work: Work, realm: Realm, number: int) -> dict[str, str]:
    """Return the bases and filters of the realm's trial of this number; empty: there is none."""
    found = next((row for row in recent(work, realm) if row.id == number), None)
    return mapping(found) if found is not None else {}


def _submit(work: Work, realm: Realm, params: dict[str, Any]) -> Operation:
    return operations.submit(
        work,
        operations.Request(
            type=TYPE,
            pool=pools.root(work),
            name=realm.label,
            params={"realm_id": realm.id, **params},
        ),
    )


def recent(work: Work, realm: Realm) -> list[Operation]:
    """Return the realm's synchronisations, newest first."""
    rows = work.db.scalars(
        select(Operation).where(Operation.type == TYPE).order_by(Operation.id.desc()).limit(RECENT)
    )
    return [row for row in rows if row.params.get("realm_id") == realm.id]


def tally(operation: Operation) -> Tally | None:
    """Return what a synchronisation changed or found, also one that ended half way.

    None until it ended, and when it ended before anything was told.
    """
    memos = [step.memo[TALLY] for step in operation.steps if TALLY in step.memo]
    return Tally.read(memos[-1]) if memos and operation.ended else None


def submit_due(work: Work) -> None:
    """Ask for the synchronisations whose time has come."""
    for realm in realms.directories(work):
        minutes = realm.settings.get("sync_minutes", realms.SYNC_MINUTES)
        real = [row for row in recent(work, realm) if not row.params.get("dry")]
        waits = real and not real[0].ended
        due = not real or real[0].created_at <= work.now() - timedelta(minutes=minutes)
        if minutes and due and not waits:
            submit(work, realm, dry=False)


def vanished(work: Work, realm_id: int, roll: Roll, *, even_many: bool) -> list[int]:
    """Return the ids of enabled users whom the directory does not know any more.

    Raises `DirectoryPartial` when that is most of them and nobody said that it is meant.
    """
    known = work.db.execute(
        select(User.id, User.directory_key).where(
            User.realm_id == realm_id, User.disabled_at.is_(None), User.directory_key.is_not(None)
        )
    ).all()
    gone = [user_id for user_id, key in known if key not in roll.keys]
    if len(known) >= MANY and len(gone) > len(known) // 2 and not even_many:
        raise DirectoryPartial(
            f"The directory lost {len(gone)} of {len(known)} users. Nothing was changed: if that "
            "is meant, synchronise once more and say so there."
        )
    had_groups = select(Group.id).where(Group.realm_id == realm_id, Group.vanished_at.is_(None))
    if not roll.groups and work.db.scalar(had_groups.limit(1)) and not even_many:
        raise DirectoryPartial(
            "The directory showed no group at all. Nothing was changed: if that is meant, "
            "synchronise once more and say so there."
        )
    return gone


@dataclass(frozen=True, kw_only=True)
class Sitting:
    """One reading of a directory, on its way into our rows."""

    realm_id: int
    dry: bool
    begun: datetime
    told: Tally
    reach: RealmReach
    keeper: Keeper

    def groups(self, work: Work, found: Sequence[Found]) -> None:
        """Bring the rows of all groups in line."""
        directory_people.hold(work, self.realm_id)
        self.told.groups = len(found)
        keys = {group.key for group in found}
        rows = work.db.scalars(
            select(Group)
            .where(Group.realm_id == self.realm_id, Group.vanished_at.is_(None))
            .order_by(Group.id)
        ).all()
        present = {row.directory_key for row in rows}
        for group in found:
            if group.key not in present:
                self.told.add("group_added", group.name)
        self._vanish(work, [row for row in rows if row.directory_key not in keys])
        for start in range(0, 0 if self.dry else len(found), BATCH):
            directory_people.take_in_groups(work, self.realm_id, found[start : start + BATCH])

    def _vanish(self, work: Work, rows: Sequence[Group]) -> None:
        kept = self.keeper.group(work, [row.id for row in rows])
        for row in rows:
            if row.id == kept:
                self._keep(work, "group", row, "group_kept")
                continue
            self.told.add("group_vanished", row.name)
            if not self.dry:
                row.vanished_at = work.now()
                audit.record(work, "group.vanish", "group", row.id, row.name)

    def people(self, work: Work, batch: Sequence[Person], roll: Roll) -> None:
        """Bring one batch of users in line."""
        if not self.dry:
            directory_people.hold(work, self.realm_id)
        wanted = {person.key: roll.groups_of(person) for person in batch}
        plan = directory_people.plan(work, self.realm_id, batch, wanted, self.keeper)
        self.reach.people(work, plan)
        for kind, name in plan.lines:
            self.told.add(kind, name)
        if plan.kept is not None:
            self._keep(work, "user", plan.kept, "kept_out" if plan.kept_out else "kept")
        if not self.dry:
            directory_people.apply(work, plan)

    def put_out(self, work: Work, user_ids: Collection[int]) -> None:
        """Disable those who vanished, unless they were seen since the reading began."""
        rows = work.db.scalars(
            select(User)
            .where(User.id.in_(user_ids), User.disabled_at.is_(None))
            .where(or_(User.checked_at.is_(None), User.checked_at < self.begun))
            .order_by(User.id)
        ).all()
        kept = self.keeper.person(work, [row.id for row in rows])
        gone = [row for row in rows if row.id != kept]
        self.reach.vanished(work, gone)
        for user in rows:
            if user.id == kept:
                self._keep(work, "user", user, "kept_out")
            else:
                self.told.add("vanished", user.name)
        if not self.dry:
            directory_people.put_out(work, gone)
            for user in set(rows) - set(gone):
                directory_people.shut_out(work, user)

    def _keep(self, work: Work, kind: str, row: User | Group, change: str) -> None:
        """Tell that somebody stays although the directory says otherwise."""
        self.told.add(change, row.name)
        if not self.dry:
            code = LastSuperAdmin.code
            audit.record(work, f"{kind}.keep", kind, row.id, row.name, outcome=code)


def ended(work: Work, operation: Operation) -> None:
    """Note at the realm when it was in line last, or why it is not."""
    realm = work.db.get(Realm, operation.params["realm_id"])
    if realm is None or operation.params.get("dry"):
        return
    if operation.error_code:
        realm.sync_error = operation.error_text
    else:
        realm.synced_at, realm.sync_error = work.now(), None
