"""The directory realms as this worker reaches them, and the chores that keep them in line.

A user who is disabled in the directory, or taken out of a group, is out within a minute: whoever
has a living session or token is asked about again every half minute.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import structlog
from gevent.pool import Pool as Crew

from ovcadmin.config import Settings
from ovcadmin.directories import Directories
from ovcadmin.drivers.directory.base import Directory
from ovcadmin.errors import OutsideError
from ovcadmin.models.database import Database
from ovcadmin.services import realm_checks, realm_sync, realms
from ovcadmin.services.realm_checks import Answer, Live
from ovcadmin.services.realms import Contact
from ovcadmin.work import SYSTEM, Work

if TYPE_CHECKING:
    from ovcadmin.worker.chores import Chores

logger = structlog.get_logger(__name__)

AT_ONCE = 4
"""People of one realm that are asked about at the same time."""
BATCH = 25
"""Answers that are written down in one transaction."""
MANY = 100
"""From so many living users on, the whole list costs the directory less than one by one."""


class Realms:
    """The drivers of this process by realm."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings
        self._directories = Directories(settings.data_dir, threads=settings.operation_slots)

    def directory(self, realm_id: int, mapping: Mapping[str, str]) -> Directory:
        with self._database.reading() as session:
            work = Work(db=session, actor=SYSTEM, settings=self._settings)
            contact = realms.contact(work, realms.get(work, realm_id))
        if mapping:
            return self._directories.trial(contact.mapped(mapping))
        return self.driver(contact)

    def driver(self, contact: Contact) -> Directory:
        return self._directories.directory(contact)


def sync_due(chores: Chores) -> None:
    """Ask for the synchronisations whose time has come."""
    with chores.work(write=True) as work:
        realm_sync.submit_due(work)


def recheck(chores: Chores) -> None:
    """Ask every directory about its users who are in."""
    with chores.work() as work:
        waiting = realm_checks.due(work)
    crew = Crew()
    for contact, users in waiting:
        crew.spawn(_recheck, chores, contact, users)
    crew.join()


def _recheck(chores: Chores, contact: Contact, users: list[Live]) -> None:
    directory = chores.realms.driver(contact)
    try:
        answers = _answers(directory, contact, users)
    except OutsideError as error:
        # It does not answer: nobody is put out for that.
        logger.warning("realm.not_checked", realm=contact.name, code=error.code, text=error.text)
        return
    for start in range(0, len(answers), BATCH):
        with chores.work(write=True) as work:
            for answer in answers[start : start + BATCH]:
                realm_checks.settle(work, contact.realm_id, answer)


def _answers(directory: Directory, contact: Contact, users: list[Live]) -> Sequence[Answer]:
    if len(users) > MANY:
        answers = realm_checks.ask_all(directory, contact.kind, users)
        return realm_checks.believed(directory, answers)
    asked = Crew(AT_ONCE).map(lambda user: _ask(directory, user), users)
    for answer in asked:
        if isinstance(answer, OutsideError):
            raise answer
    return realm_checks.believed(directory, asked)


def _ask(directory: Directory, user: Live) -> Answer | OutsideError:
    """Return the error too: a greenlet that raises one shouts it into the log."""
    try:
        return realm_checks.ask(directory, user)
    except OutsideError as error:
        return error
