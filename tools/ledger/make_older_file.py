"""Write a small ledger of an older schema as SQL text, for the tests of migrations.

    python tools/ledger/make_older_file.py 0001 tests/unit/ledger/data/ledger_0001.sql

Made once for each schema before a newer one is released, and then kept as it is: the file stands
for the ledgers that are out there.
"""

import argparse
import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from rerad.core.clinical_history import (
    UNKNOWN,
    ClinicalHistory,
    CoursePhase,
    CourseRecord,
    DicomReference,
    ImagingFinding,
    ImagingStudy,
    PatientRecord,
    PhaseVolume,
)
from rerad.ledger import Signature, add_history
from rerad.ledger.connection import _sqlite, upgrade


def older_history() -> ClinicalHistory:
    """Return a history that uses no field younger than the first schema."""
    level = PhaseVolume(structure="PTV_4500", prescribed_gy=45.0)
    course = CourseRecord(
        key="course-1",
        order=10,
        text="Pelvis, 45 Gy in 25 fractions.",
        title="Course 1",
        start=UNKNOWN,
        n_fractions_planned=25,
        phases=(CoursePhase(name="whole course", volumes=(level,)),),
        references=(DicomReference(kind="RTDOSE", uid="1.2.840.1"),),
    )
    finding = ImagingFinding(statement="nothing", is_abnormal=False)
    study = ImagingStudy(key="mri", order=20, text="MRI", modality="MRI", findings=(finding,))
    return ClinicalHistory(PatientRecord(patient_id="OLD", text="from before"), (course, study))


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Write a ledger of an older schema as SQL.")
    parser.add_argument("schema")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "older.db"
        ledger = _sqlite(path, may_create=True)
        upgrade(ledger, arguments.schema)
        add_history(ledger, older_history(), Signature("older", datetime(2026, 1, 1, tzinfo=UTC)))
        ledger.close()
        connection = sqlite3.connect(path)
        text = "\n".join(connection.iterdump()) + "\n"
        connection.close()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
