"""Ledgers on both engines, and a patient whose record has everything a record can have."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa

from rerad.core import EventKind, RecordGrade
from rerad.core.clinical_history import (
    NOT_APPLICABLE,
    UNKNOWN,
    ClinicalHistory,
    CoursePhase,
    CourseRecord,
    Death,
    Diagnosis,
    DicomReference,
    DrugDose,
    FollowUp,
    ImagingFinding,
    ImagingStudy,
    MuscleStrength,
    OpioidUse,
    PatientRecord,
    PhaseVolume,
    PointDose,
    Statement,
    Surgery,
    SymptomScore,
    SystemicTherapy,
    Toxicity,
)
from rerad.ledger import Ledger, Signature, open_ledger

TOOLS = Path(__file__).resolve().parents[3] / "tools" / "ledger"
_NUMBERS = count()


def load_tool(name: str) -> ModuleType:
    """Load a script of tools/ledger as a module."""
    spec = importlib.util.spec_from_file_location(f"rerad_tool_{name}", TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """URL of a server of our own, or skip saying so."""
    tool = load_tool("postgres_server")
    if not tool.has_postgres():
        pytest.skip("PostgreSQL is not installed here: initdb and pg_ctl were not found")
    with tool.postgres_server() as url:
        on_server(url, "CREATE DATABASE template_ledger")
        open_ledger(url.removesuffix("postgres") + "template_ledger").close()
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a ledger can be made, on each engine."""
    if request.param == "sqlite":
        yield str(tmp_path / "ledger.db")
        return
    server = request.getfixturevalue("postgres_url")
    name = f"ledger_{next(_NUMBERS)}"
    on_server(server, f"CREATE DATABASE {name} TEMPLATE template_ledger")
    yield server.removesuffix("postgres") + name


def on_server(url: str, statement: str) -> None:
    """Run a statement outside a transaction."""
    engine = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    """An empty ledger."""
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


@pytest.fixture
def signature() -> Signature:
    """Who writes, with a reason."""
    return Signature("tester", datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC), "for the test")


@pytest.fixture
def history() -> ClinicalHistory:
    """A history with every kind of record, every kind of part and every kind of absence."""
    patient = PatientRecord(
        patient_id="P-1",
        text="A woman of 47.",
        name="Doe^Jane",
        birth_date=UNKNOWN,
        sex="F",
        age_years=47,
        unknowns=("the interval", "Größe"),
    )
    return ClinicalHistory(patient, (*_diseases(), *_courses(), *_states()))


def _diseases() -> tuple[Diagnosis | Surgery | SystemicTherapy | ImagingStudy, ...]:
    return (
        Diagnosis(key="dx", order=1, text="cervix", title="Carcinoma", stage=UNKNOWN),
        Surgery(key="op", order=2, text="operated", operation=UNKNOWN, date=date(2019, 3, 4)),
        SystemicTherapy(
            key="chemo",
            order=3,
            text="six courses",
            title="Paclitaxel + carboplatin",
            n_cycles_given=6,
            concurrent_with=NOT_APPLICABLE,
            drugs=(
                DrugDose(drug="paclitaxel", dose_mg=210, every_days=21),
                DrugDose(drug="carboplatin", dose_mg=400, every_days=21, route=UNKNOWN),
            ),
        ),
        ImagingStudy(
            key="pet",
            order=4,
            text="thick nerves",
            modality="PET/CT",
            findings=(
                ImagingFinding(statement="thick", site="L5/S1", side="right", is_abnormal=True),
                ImagingFinding(statement="nothing else", is_abnormal=False),
            ),
        ),
    )


def _courses() -> tuple[CourseRecord, ...]:
    boost = CoursePhase(
        name="whole course",
        n_fractions_planned=25,
        n_fractions_delivered=UNKNOWN,
        volumes=(
            PhaseVolume(structure="GTVp", prescribed_gy=55, planned_gy=55.1),
            PhaseVolume(structure="PTV", prescribed_gy=45, delivered_gy=UNKNOWN),
        ),
    )
    references = (DicomReference(kind="RTDOSE", uid="1.2.3", sha256="ab" * 32),)
    return (
        CourseRecord(
            key="course-1",
            order=10,
            text="pelvis",
            title="Course 1",
            start=date(2020, 1, 2),
            end=date(2020, 2, 6),
            grade=RecordGrade.DOSE_GRID,
            phases=(boost, CoursePhase(name="empty")),
            references=references,
            institution="elsewhere",
            partial_fractions=(0.5, 0.25),
            point_doses=(PointDose(structure="Rectum", max_gy=44.5, source=UNKNOWN),),
        ),
        CourseRecord(key="course-2", order=20, text="nerves", title="Course 2", start=UNKNOWN),
    )


def _states() -> tuple[
    SymptomScore | MuscleStrength | OpioidUse | Toxicity | FollowUp | Death | Statement, ...
]:
    return (
        SymptomScore(key="pain", order=30, text="VAS 8-9", symptom="pain", lowest=8, highest=9),
        MuscleStrength(key="strength", order=31, text="2+", grade="2+", side="right"),
        OpioidUse(
            key="opioid", order=32, text="q12h", drug="oxycodone", dose_mg=60, every_hours=12
        ),
        Toxicity(key="tox", order=33, text="none", term="Brachial plexopathy", grade=0),
        FollowUp(key="visit", order=34, text="seen", is_alive=True, ecog=2),
        Death(key="death", order=35, text="dies", cause=UNKNOWN),
        Statement(key="word", order=36, text="said", kind=EventKind.OUTCOME, title="Said"),
    )


@pytest.fixture(scope="session")
def tool() -> Callable[[str], ModuleType]:
    """How a script of tools/ledger is loaded."""
    return load_tool


@pytest.fixture(scope="session")
def on_postgres() -> Callable[[str, str], None]:
    """How a statement is run on the server."""
    return on_server
