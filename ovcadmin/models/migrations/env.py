"""Alembic's way into the tables; the connection is handed over by `ovcadmin.manage.schema`."""

from typing import Any, Literal

from alembic import context

from ovcadmin.models import OWN_INDEX, Base, UtcDateTime


def include_name(name: str | None, _kind: str, _parents: Any) -> bool:
    """Pass over the full-text index: each database makes its own, which no model can declare."""
    return not (name or "").startswith(OWN_INDEX)


def render_item(_kind: str, item: Any, _context: Any) -> str | Literal[False]:
    """Write our own types as what they are in the database: migrations outlive our classes."""
    return "sa.DateTime(timezone=True)" if isinstance(item, UtcDateTime) else False


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    compare_type=True,
    include_name=include_name,
    render_item=render_item,
    # SQLite alters a table by copying it.
    render_as_batch=True,
    # The whole way up or nothing.
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
