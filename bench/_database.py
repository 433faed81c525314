"""A database that was filled at once, made like one that has grown."""

from __future__ import annotations

from ovcadmin.models.database import Database


def settle(database: Database) -> None:
    """Let PostgreSQL learn what it holds, as its autovacuum does within the first minutes.

    Until then it takes every table for nearly empty, and plans of lists cost several times as much.
    """
    if database.is_sqlite:
        return
    alone = database.write.execution_options(isolation_level="AUTOCOMMIT")
    with alone.connect() as connection:
        connection.exec_driver_sql("VACUUM ANALYZE")
