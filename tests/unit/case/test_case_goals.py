"""Goals of a case file: lines and tables, what is refused and how."""

from pathlib import Path

import numpy as np
import pytest

from rerad.case import read_case, write_case
from rerad.case.goals import goals_of, require_judgeable
from rerad.case.history_schema import PrescriptionTable
from rerad.case.load import course_of
from rerad.case.published_case import FURTHER_GOALS
from rerad.case.schema import CaseFile, GoalTable
from rerad.core import (
    Contour,
    DoseScope,
    RecordGrade,
    RecoveryBasis,
    Structure,
    StructureKind,
    StructureSet,
)
from rerad.errors import CaseError
from rerad.evaluation import format_goal, parse_goal

CASE = Path("case.toml")
TABLE = GoalTable(structure="Bladder", metric="Dmean", at_most=30.0, unit="Gy", priority=4)


@pytest.fixture
def file(tiny_case: Path) -> CaseFile:
    return read_case(tiny_case)


def with_goals(file: CaseFile, *lines: str, tables: tuple[GoalTable, ...] = ()) -> CaseFile:
    return file.model_copy(update={"goals": lines, "goal": tables})


def test_lines_come_first_and_tables_after(file: CaseFile) -> None:
    found = goals_of(with_goals(file, "1: PTV_4000 D95% >= 95%", tables=(TABLE,)), CASE)
    assert [format_goal(goal) for goal in found] == [
        "1: PTV_4000 D95% >= 95%",
        "4: Bladder Dmean <= 30 Gy",
    ]


def test_lines_are_written_and_read_back(file: CaseFile, tmp_path: Path) -> None:
    changed = with_goals(file, '"Left lung" V20Gy <= 30 %', 'Cord Dmax <= 45 Gy must -- "x"')
    write_case(changed, tmp_path / "case.toml")
    text = (tmp_path / "case.toml").read_text(encoding="utf-8")
    assert text.index("goals = [") < text.index("[patient]")
    assert read_case(tmp_path) == changed


def test_alpha_beta_may_come_from_rule_set_or_tumour_and_the_note_says_so(
    file: CaseFile,
) -> None:
    lines = (
        "SacralPlex_R D0.1cc[EQD2] <= 70",
        "SacralPlex_R D0.1cc[EQD2] <= 70 ab=2.5 must",
        "PTV_4000 D95%[EQD2] >= 38",
    )
    levels = (PrescriptionTable(structure="PTV_4000", dose_gy=40.0),)
    course = file.current_course.model_copy(update={"prescriptions": levels})
    changed = with_goals(file, *lines).model_copy(update={"current_course": course})
    plexus, own, target = goals_of(changed, CASE)
    assert (plexus.alpha_beta_gy, plexus.note) == (2.0, "alpha/beta of rule set slevin2021")
    assert (own.alpha_beta_gy, own.note, own.is_hard) == (2.5, "", True)
    assert target.alpha_beta_gy == file.planning.tumor_alpha_beta_gy
    assert target.note == "alpha/beta of planning.tumor_alpha_beta_gy"
    assert all(goal.recovery_basis is RecoveryBasis.RAW for goal in (plexus, own, target))
    assert all(goal.scope is DoseScope.CUMULATIVE for goal in (plexus, own, target))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("PTV_4000 D95 >= 95%", "metric 'D95' is not understood; did you mean D95%"),
        ("PTV_4000 D95% >= 95", "expected Gy or % for the limit on D95%, got none"),
        ("Scar Dmax[EQD2] <= 60", "needs the alpha/beta of the structure"),
        ("Bladder Dmax[EQD2] <= 60 ab=3 discounted", "are judged on the raw sum"),
    ],
)
def test_errors_name_file_key_line_and_what_is_wrong(
    file: CaseFile, line: str, problem: str
) -> None:
    with pytest.raises(CaseError) as refused:
        goals_of(with_goals(file, "1: PTV_4000 D95% >= 95%", line), CASE)
    assert str(refused.value).startswith(f"case.toml: goals.1: goal {line!r}: ")
    assert problem in str(refused.value)


def test_tables_are_refused_by_name_too(file: CaseFile) -> None:
    odd = TABLE.model_copy(update={"metric": "Dmeen"})
    with pytest.raises(CaseError, match=r"case\.toml: goal\.0: metric 'Dmeen' is not understood"):
        goals_of(with_goals(file, tables=(odd,)), CASE)
    odd = TABLE.model_copy(update={"unit": "cc"})
    with pytest.raises(CaseError, match=r"goal\.0: .*expected Gy or %"):
        goals_of(with_goals(file, tables=(odd,)), CASE)
    odd = TABLE.model_copy(update={"is_hard": True})
    with pytest.raises(CaseError, match=r"goal\.0: .*not both"):
        goals_of(with_goals(file, tables=(odd,)), CASE)


SQUARE = Contour(0.0, np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0]]))


def drawn_today(*names: str, contours: tuple[Contour, ...] = (SQUARE,)) -> StructureSet:
    kinds = {"GTV": StructureKind.GTV, "PTV_4000": StructureKind.PTV}
    return StructureSet(
        "today",
        tuple(
            Structure(name, kinds.get(name, StructureKind.OAR), "1.2", contours, 3.0)
            for name in names
        ),
    )


def test_what_no_plan_could_answer_is_refused_before_planning(file: CaseFile) -> None:
    drawn = drawn_today("GTV")
    changed = with_goals(file, "GTV D95% >= 95%")
    with pytest.raises(CaseError, match=r"case\.toml: goals\.0: .*the target GTV has none"):
        require_judgeable(changed, CASE, drawn)
    require_judgeable(with_goals(file, "GTV D95% >= 38 Gy"), CASE, drawn)


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("rectum", "rectum is not in the structure set 'today'; did you mean Rectum"),
        ("Spleen", "'today'; it has Rectum, SacralPlex_R"),
        ("SacralPlex_R-PTV", "is a part of SacralPlex_R; parts are judged by the goals of the"),
    ],
)
def test_a_structure_that_is_not_drawn_is_named_with_its_line(
    file: CaseFile, name: str, problem: str
) -> None:
    drawn = drawn_today("Rectum", "SacralPlex_R")
    with pytest.raises(CaseError) as refused:
        require_judgeable(with_goals(file, f"{name} Dmean <= 9 Gy"), CASE, drawn)
    assert str(refused.value).startswith(f"case.toml: goals.0: goal '{name} Dmean <= 9 Gy': ")
    assert problem in str(refused.value)


def test_a_structure_with_nothing_drawn_is_named_with_its_line(file: CaseFile) -> None:
    drawn = drawn_today("Rectum", contours=())
    with pytest.raises(CaseError, match=r"goals\.0: goal .*: nothing is drawn for Rectum"):
        require_judgeable(with_goals(file, "Rectum Dmean <= 9 Gy"), CASE, drawn)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("PTV_4000 D95% >= 38 Gy must", "only an upper bound can be a hard limit"),
        ("Rectum Dmean <= 0 Gy must", "nothing can be held at Dmean <= 0"),
        ("Rectum V0Gy <= 5 cc must", "nothing can be held at V0Gy <= 5"),
        ("Rectum V20Gy <= 100 % must", "100 % of the volume is no limit"),
        ("Rectum D2cm <= 20 Gy must", "D2cm cannot be held as a hard limit"),
        ("Rectum HI <= 0.2 must", "HI cannot be held as a hard limit"),
        ("Rectum gEUD0.5 <= 20 Gy must", "gEUD0.5 cannot be held as a hard limit"),
        ("Rectum Dmin <= 1 Gy must", "Dmin cannot be held as a hard limit"),
        ("Rectum Dmean <= 20 Gy must", "goals.0 is a hard limit on the same; keep the stricter"),
        ("Rectum Dmean[EQD2] <= 20 Gy ab=3 must", None),
        ("Rectum Dmax <= 20 Gy must", None),
        ("PTV_4000 D2% <= 42 Gy must", None),
        ("Rectum gEUD8 <= 20 Gy must", None),
        ("Rectum V20Gy <= 30 % must", None),
    ],
)
def test_a_hard_limit_that_no_plan_is_held_to_is_refused_before_planning(
    file: CaseFile, line: str, problem: str | None
) -> None:
    drawn = drawn_today("Rectum", "PTV_4000")
    changed = with_goals(file, "Rectum Dmean <= 25 Gy must", line)
    if problem is None:
        require_judgeable(changed, CASE, drawn)
        return
    with pytest.raises(CaseError, match=r"case\.toml: goals\.1: goal .*") as refused:
        require_judgeable(changed, CASE, drawn)
    assert problem in str(refused.value)


def test_alpha_beta_in_a_table_on_physical_dose_is_not_dropped_in_silence(file: CaseFile) -> None:
    odd = TABLE.model_copy(update={"alpha_beta_gy": 3.0})
    with pytest.raises(CaseError, match=r'goal\.0: .*write scope = "cumulative", or leave'):
        goals_of(with_goals(file, tables=(odd,)), CASE)


def test_the_demo_enforces_nothing_new_by_its_goals() -> None:
    """They are ranked or judged; none is hard, and none caps a near-maximum of the plan in Gy."""
    for line in FURTHER_GOALS:
        goal = parse_goal(line)
        assert not goal.is_hard
        assert goal.metric in {"Dmean", "D2cm", "HI"}


def test_a_target_goes_up_only_where_that_is_asked_and_possible(file: CaseFile) -> None:
    content = file.model_dump()
    content["current_course"]["prescriptions"][0]["up_to_gy"] = 60.0
    changed = CaseFile.model_validate(content)
    drawn = drawn_today("PTV_4000")
    high = with_goals(changed, "1: PTV_4000 D95% >= 95%", "PTV_4000 D2% <= 107%")
    with pytest.raises(CaseError, match=r"goals.1: .*it allows PTV_4000 42.8 Gy, but .* to 60 Gy"):
        require_judgeable(high, CASE, drawn)
    require_judgeable(with_goals(changed, "PTV_4000 D2% <= 64 Gy"), CASE, drawn)


def test_what_a_target_goes_up_to_is_written_and_read_back(file: CaseFile, tmp_path: Path) -> None:
    level = PrescriptionTable(structure="PTV_4000", dose_gy=40.0, up_to_gy=60.0)
    course = file.current_course.model_copy(update={"prescriptions": (level,)})
    changed = file.model_copy(update={"current_course": course})
    write_case(changed, tmp_path / "case.toml")
    assert "dose_gy = 40.0, up_to_gy = 60.0}" in (tmp_path / "case.toml").read_text("utf-8")
    assert read_case(tmp_path) == changed
    assert course_of(course, RecordGrade.FULL_DICOM).prescriptions[0].wanted_gy == 60.0


def test_an_earlier_course_went_up_to_nothing(file: CaseFile) -> None:
    content = file.model_dump()
    content["prior_course"][0]["prescriptions"] = [
        {"structure": "PTV", "dose_gy": 45.0, "up_to_gy": 50.0}
    ]
    with pytest.raises(ValueError, match="up_to_gy is for the course to be planned"):
        CaseFile.model_validate(content)
    with pytest.raises(ValueError, match="expected an up_to_gy above dose_gy, or none, got 40"):
        PrescriptionTable(structure="PTV", dose_gy=45.0, up_to_gy=40.0)
