"""How fast the ledger is with a department's patients in it.

    python benchmarks/bench_ledger.py [--patients 100000] [--courses 250000] [--url LEDGER]

Fills a ledger with patients and courses, the same rows, hashes and audit entries as the ledger
writes (in bulk, because a commit to disk for each would take hours; ``--verify`` checks it), then
times one by one: adding a record (with its commit to disk), looking a patient up, looking a plan
up by UID, and reading what a timeline needs. Prints medians and 95 %.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from rerad.case.ledger_history import treatment_history
from rerad.core.clinical_history import (
    ClinicalRecord,
    CoursePhase,
    CourseRecord,
    Death,
    DicomReference,
    FollowUp,
    PatientRecord,
    PhaseVolume,
    SymptomScore,
    kind_of,
)
from rerad.core.record_documents import canonical_json, to_document
from rerad.ledger import (
    Ledger,
    Signature,
    add_record,
    find_by_reference,
    open_ledger,
    read_history,
    verify_ledger,
)
from rerad.ledger.audit import FIRST_HASH, AuditEntry, object_text
from rerad.ledger.connection import writing
from rerad.ledger.rows import row_hash, values_of
from rerad.ledger.schema import metadata, part_fields, part_tables, record_tables

N_TIMED = 200
PATIENTS_AT_ONCE = 500


def signature() -> Signature:
    return Signature("benchmark", datetime.now(UTC))


def course(number: int, patient: int, start: date) -> CourseRecord:
    volumes = (
        PhaseVolume(structure="GTVp_5500", prescribed_gy=55.0, planned_gy=55.1, delivered_gy=55.0),
        PhaseVolume(structure="PTV_4500", prescribed_gy=45.0, planned_gy=45.2, delivered_gy=45.0),
    )
    phase = CoursePhase(
        name="whole course", n_fractions_planned=25, n_fractions_delivered=25, volumes=volumes
    )
    uid = f"2.25.{patient}.{number}"
    return CourseRecord(
        key=f"course-{number}",
        order=10 * number,
        text="Pelvic IMRT with a simultaneous integrated boost.",
        title=f"Course {number}",
        site="Pelvis",
        technique="IMRT",
        n_fractions_planned=25,
        n_fractions_delivered=25,
        start=start,
        end=start + timedelta(days=35),
        phases=(phase,),
        references=tuple(
            DicomReference(kind=kind, uid=f"{uid}.{n}")
            for n, kind in enumerate(("CT", "RTSTRUCT", "RTPLAN", "RTDOSE"))
        ),
    )


class BulkWriter:
    """Writes many records in one go, row for row as the ledger itself would, only faster."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rows: dict[tuple[str, tuple[str, ...]], list[dict[str, Any]]] = {}
        self._ids: Counter[str] = Counter()
        self._head = FIRST_HASH

    def _add_row(self, table: str, row: dict[str, Any]) -> None:
        self._rows.setdefault((table, tuple(sorted(row))), []).append(row)

    def add(self, patient_id: str, record: ClinicalRecord) -> None:
        signed, kind = signature(), kind_of(record)
        if isinstance(record, PatientRecord):
            row = {"patient_id": patient_id, "added_utc": signed.utc_text}
            self._add_row("patients", row)
        self._ids["records"] += 1
        number = self._ids["records"]
        self._add_row(
            "records",
            {"record_id": number, "patient_id": patient_id, "key": record.key, "kind": kind},
        )
        envelope = {
            "record_id": number,
            "revision": 1,
            "recorded_utc": signed.utc_text,
            "is_withdrawn": False,
        }
        envelope["row_hash"] = row_hash(record, patient_id, envelope)
        table = record_tables[kind].name
        self._ids[table] += 1
        row = {"row_id": self._ids[table]} | envelope | values_of(record)
        self._add_row(table, row)
        self._add_parts(record, self._ids[table])
        entry = AuditEntry(
            seq=number,
            utc=signed.utc_text,
            actor=signed.actor,
            action="add",
            object=object_text(patient_id, kind, record.key),
            revision=1,
            before=None,
            after=canonical_json(to_document(record)),
            reason="",
            row_hash=str(envelope["row_hash"]),
            prev_hash=self._head,
        )
        self._head = entry.expected_hash()
        self._add_row("audit", asdict(replace(entry, hash=self._head)))

    def _add_parts(self, item: object, parent: int) -> None:
        for name, part in part_fields(type(item)).items():
            table = part_tables[part].name
            for position, value in enumerate(getattr(item, name)):
                self._ids[table] += 1
                number = self._ids[table]
                row = {"row_id": number, "parent_row": parent, "position": position}
                self._add_row(table, row | values_of(value))
                self._add_parts(value, number)

    def flush(self) -> None:
        order = [table.name for table in metadata.sorted_tables]
        with writing(self._ledger) as connection:
            for name, keys in sorted(self._rows, key=lambda item: order.index(item[0])):
                connection.execute(sa.insert(metadata.tables[name]), self._rows[name, keys])
        self._rows.clear()


def fill(ledger: Ledger, n_patients: int, n_courses: int) -> None:
    chance = random.Random(1)
    counts = [1] * n_patients
    for _ in range(n_courses - n_patients):
        counts[chance.randrange(n_patients)] += 1
    bulk = BulkWriter(ledger)
    for patient, n_mine in enumerate(counts):
        name = f"P{patient:07d}"
        bulk.add(name, PatientRecord(patient_id=name, text="Who"))
        for number in range(1, n_mine + 1):
            start = date(2000, 1, 1) + timedelta(days=chance.randrange(9000))
            bulk.add(name, course(number, patient, start))
        bulk.add(
            name,
            SymptomScore(key="pain", order=90, text="Pain", symptom="pain", lowest=5, highest=6),
        )
        if patient % 3 == 0:
            bulk.add(name, Death(key="death", order=99, text="Dies"))
        if patient % PATIENTS_AT_ONCE == PATIENTS_AT_ONCE - 1 or patient == n_patients - 1:
            bulk.flush()
            print(f"\r{patient + 1} patients", end="", flush=True)
    print()


def timed(name: str, action: Callable[[int], object], n: int = N_TIMED) -> None:
    wall, processor = [], []
    for number in range(n):
        started, worked = time.perf_counter(), time.process_time()
        action(number)
        wall.append(1000 * (time.perf_counter() - started))
        processor.append(1000 * (time.process_time() - worked))
    wall.sort()
    processor.sort()
    print(
        f"{name:<28} median {wall[n // 2]:7.2f} ms  95 % {wall[int(0.95 * n)]:7.2f} ms  "
        f"slowest {wall[-1]:7.2f} ms  processor {processor[n // 2]:6.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--courses", type=int, default=250_000)
    parser.add_argument("--url", default="")
    parser.add_argument("--verify", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        where = arguments.url or str(Path(folder) / "ledger.db")
        ledger = open_ledger(where)
        started = time.perf_counter()
        fill(ledger, arguments.patients, arguments.courses)
        print(f"filled in {time.perf_counter() - started:.0f} s")
        if not arguments.url:
            print(f"{Path(where).stat().st_size / 2**20:.0f} MiB")
        chance = random.Random(2)
        who = [chance.randrange(arguments.patients) for _ in range(N_TIMED)]
        names = [f"P{number:07d}" for number in who]

        def add(number: int) -> object:
            visit = FollowUp(key=f"visit-{number}", order=95, text="Seen", ecog=1)
            return add_record(ledger, names[number], visit, signature())

        def add_course(number: int) -> object:
            new = course(100 + number, who[number], date(2026, 1, 1))
            return add_record(ledger, names[number], new, signature())

        timed("add a visit", add)
        timed("add a course", add_course)
        timed("look up a patient", lambda n: read_history(ledger, names[n]))
        timed("look up a plan by UID", lambda n: find_by_reference(ledger, f"2.25.{who[n]}.1.2"))
        timed("what a timeline needs", lambda n: treatment_history(read_history(ledger, names[n])))
        if arguments.verify:
            started = time.perf_counter()
            found = verify_ledger(ledger)
            seconds = time.perf_counter() - started
            print(f"{found.n_entries} entries, {len(found.problems)} problems, {seconds:.0f} s")
        ledger.close()


if __name__ == "__main__":
    main()
