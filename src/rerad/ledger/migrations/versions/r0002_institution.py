"""Where a course was given, UID of an imaging study, courses found by the UID of an object."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns, null (nobody has asked) in rows that are there, and an index."""
    op.add_column("courses", sa.Column("institution", sa.Text))
    op.add_column("imaging_studies", sa.Column("study_uid", sa.Text))
    op.create_index("references_by_uid", "course_references", ["uid"])


def downgrade() -> None:
    """Refuse: a ledger never forgets."""
    msg = "the ledger has no way back to an older schema"
    raise NotImplementedError(msg)
