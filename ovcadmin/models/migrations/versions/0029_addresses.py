"""Cards are held to an address; PostgreSQL keeps the words of an article within its row.

Ranking reads the words of every article that was found: fetching them was most of a search.

Upwards only: the way back is the backup that was made before.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("nic", sa.Column("address", sa.String(), nullable=True))
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE article_text ALTER COLUMN fts_words SET STORAGE MAIN")
        op.execute("UPDATE article_text SET title = title")  # what is there is written anew
