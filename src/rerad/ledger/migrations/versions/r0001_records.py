"""First schema: patients, records and their parts, audit."""

import sqlalchemy as sa
from alembic import op

from rerad.ledger.migrations.append_only import make_append_only

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STORY = "story_order:int text when_said on_date:date source"
"""Columns that every record has."""

RECORDS = {
    "patient_details": "name birth_date:date sex age_years:int unknowns",
    "diagnoses": "title site histology stage stage_system is_metastatic:bool",
    "surgeries": "operation site findings",
    "systemic_therapies": "title setting n_cycles_planned:int n_cycles_given:int concurrent_with",
    "imaging_studies": "modality region",
    "courses": "title site technique modality intent is_reirradiation:bool "
    "n_fractions_planned:int n_fractions_delivered:int delivered_dose_gy:num start_date:date "
    "end_date:date months_since_previous:num stop_reason grade",
    "symptoms": "symptom scale lowest:num highest:num site side is_treated_site:bool",
    "muscle_strengths": "grade ordinal:int scale side muscle_group",
    "opioids": "drug dose_mg:num every_hours:num route oral_morphine_mg_day:num conversion_table",
    "toxicities": "term system grade:int attribution course",
    "follow_ups": "is_alive:bool ecog:int disease_status",
    "deaths": "cause",
    "statements": "kind title",
}

PARTS = {
    "systemic_drugs": ("systemic_therapies", "drug dose_mg:num every_days:num route"),
    "imaging_findings": ("imaging_studies", "statement site side is_abnormal:bool"),
    "course_phases": (
        "courses",
        "name n_fractions_planned:int n_fractions_delivered:int start_date:date end_date:date",
    ),
    "course_references": ("courses", "kind uid sha256"),
    "phase_volumes": (
        "course_phases",
        "structure prescribed_gy:num planned_gy:num delivered_gy:num",
    ),
}

TYPES = {"int": sa.Integer, "num": sa.Double, "date": sa.Date, "bool": sa.Boolean, "": sa.Text}


def _columns(words: str) -> list[sa.Column]:  # type: ignore[type-arg]
    """Return the columns that a line of words names."""
    pairs = [word.partition(":") for word in words.split()]
    return [sa.Column(name, TYPES[kind]) for name, _, kind in pairs]


def upgrade() -> None:
    """Make the tables and their triggers."""
    _make_spine()
    for name, words in RECORDS.items():
        op.create_table(
            name,
            sa.Column("row_id", sa.Integer, primary_key=True),
            sa.Column("record_id", sa.Integer, sa.ForeignKey("records.record_id"), nullable=False),
            sa.Column("revision", sa.Integer, nullable=False),
            sa.Column("recorded_utc", sa.Text, nullable=False),
            sa.Column("is_withdrawn", sa.Boolean, nullable=False),
            sa.Column("row_hash", sa.Text, nullable=False),
            *_columns(f"{STORY} {words}"),
            sa.Column("absent", sa.Text, nullable=False),
            sa.UniqueConstraint("record_id", "revision", name=f"one_revision_{name}"),
        )
    for name, (parent, words) in PARTS.items():
        op.create_table(
            name,
            sa.Column("row_id", sa.Integer, primary_key=True),
            sa.Column("parent_row", sa.Integer, sa.ForeignKey(f"{parent}.row_id"), nullable=False),
            sa.Column("position", sa.Integer, nullable=False),
            *_columns(words),
            sa.Column("absent", sa.Text, nullable=False),
            sa.UniqueConstraint("parent_row", "position", name=f"one_place_{name}"),
        )
    make_append_only(["patients", "records", "audit", *RECORDS, *PARTS])


def _make_spine() -> None:
    """Make patients, records and audit."""
    op.create_table(
        "patients",
        sa.Column("patient_id", sa.Text, primary_key=True),
        sa.Column("added_utc", sa.Text, nullable=False),
    )
    op.create_table(
        "records",
        sa.Column("record_id", sa.Integer, primary_key=True),
        sa.Column("patient_id", sa.Text, sa.ForeignKey("patients.patient_id"), nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.UniqueConstraint("patient_id", "key", name="one_key_per_patient"),
    )
    op.create_table(
        "audit",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("utc", "actor", "action", "object")
        ),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in ("reason", "row_hash", "prev_hash", "hash")
        ),
    )


def downgrade() -> None:
    """Refuse: a ledger never forgets."""
    msg = "the ledger has no way back to an older schema"
    raise NotImplementedError(msg)
