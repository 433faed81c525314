"""The migrations make exactly the tables that the models declare, on both databases."""

from __future__ import annotations

import pytest
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError

from ovcadmin.manage import schema
from ovcadmin.models import Base, Pool
from ovcadmin.models.database import Database

pytestmark = pytest.mark.filterwarnings(
    "ignore:Skipped unsupported reflection of expression-based index"
)


@pytest.fixture
def database(database_url):
    made = Database(database_url)
    yield made
    made.dispose()


def _tables(database):
    """What a database says of itself: columns, keys, indexes and checks of every table."""
    with database.read.connect() as connection:
        looked = inspect(connection)
        return {
            table: {
                "columns": {
                    column["name"]: (str(column["type"]), column["nullable"])
                    for column in looked.get_columns(table)
                },
                "primary key": looked.get_pk_constraint(table)["constrained_columns"],
                "foreign keys": sorted(key["name"] for key in looked.get_foreign_keys(table)),
                "unique": sorted(key["name"] for key in looked.get_unique_constraints(table)),
                "checks": sorted(check["name"] for check in looked.get_check_constraints(table)),
                "indexes": _indexes(connection, table, database),
            }
            for table in looked.get_table_names()
            if table != "alembic_version"
        }


def _indexes(connection, table, database):
    """Indexes by their definition; SQLAlchemy cannot read those on expressions."""
    query = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
        "AND tbl_name = :table"
        if database.is_sqlite
        else "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = :table"
    )
    rows = connection.execute(text(query), {"table": table})
    return {name: " ".join(definition.split()) for name, definition in rows}


def test_the_migrations_make_what_the_models_declare(database, database_url, tmp_path, request):
    schema.upgrade(database)
    assert schema.differences(database) == ""
    migrated = _tables(database)

    if database.is_sqlite:
        url = f"sqlite:///{tmp_path}/declared.db"
    else:
        url = request.getfixturevalue("postgres_server").new_database()
    declared = Database(url)
    Base.metadata.create_all(declared.write)
    assert migrated == _tables(declared)
    declared.dispose()


def test_an_upgrade_of_the_newest_changes_nothing(database):
    assert schema.upgrade(database) == schema.head()
    before = _tables(database)
    assert schema.upgrade(database) == schema.head()
    assert _tables(database) == before


def test_there_is_one_root(database):
    schema.upgrade(database)
    with database.writing() as session:
        session.add(Pool(name="Cloud", name_key="cloud"))
    with pytest.raises(IntegrityError), database.writing() as session:
        session.add(Pool(name="Other", name_key="other"))
