"""`ovcadmin init`: data directory, tables, and what must exist before anybody can sign in."""

from __future__ import annotations

from ovcadmin.config import Settings
from ovcadmin.manage import schema
from ovcadmin.models.database import Database
from ovcadmin.services import knowledge_search, seals, setup
from ovcadmin.work import SYSTEM, Work

PRIVATE_DIRECTORY = 0o700


def initialise(settings: Settings) -> str | None:
    """Prepare everything; return the administrator's password if this made him.

    Safe to run again, and twice at the same time.
    """
    settings.data_dir.mkdir(mode=PRIVATE_DIRECTORY, parents=True, exist_ok=True)
    settings.data_dir.chmod(PRIVATE_DIRECTORY)
    database = Database(settings.database_url, pool_size=1)
    try:
        with schema.one_at_a_time(settings):
            seals.ensure_key(settings)
            schema.upgrade(database)
            with database.writing() as session:
                work = Work(db=session, actor=SYSTEM, settings=settings)
                knowledge_search.refresh(work)
                return setup.initialise(work)
    finally:
        database.dispose()
