"""Point doses and broken fractions of a course, where it was given; courses found by UID."""

import sqlalchemy as sa
from alembic import op

from rerad.ledger.migrations.append_only import make_append_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns, null (nobody has asked) in rows that are there, a table and an index."""
    op.add_column("courses", sa.Column("institution", sa.Text))
    op.add_column("courses", sa.Column("partial_fractions", sa.Text))
    op.add_column("imaging_studies", sa.Column("study_uid", sa.Text))
    op.create_table(
        "course_point_doses",
        sa.Column("row_id", sa.Integer, primary_key=True),
        sa.Column("parent_row", sa.Integer, sa.ForeignKey("courses.row_id"), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("structure", sa.Text),
        sa.Column("max_gy", sa.Double),
        sa.Column("source", sa.Text),
        sa.Column("absent", sa.Text, nullable=False),
        sa.UniqueConstraint("parent_row", "position", name="one_place_course_point_doses"),
    )
    make_append_only(["course_point_doses"])
    op.create_index("references_by_uid", "course_references", ["uid"])


def downgrade() -> None:
    """Refuse: a ledger never forgets."""
    msg = "the ledger has no way back to an older schema"
    raise NotImplementedError(msg)
