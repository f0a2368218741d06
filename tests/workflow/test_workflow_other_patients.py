"""Patients that nothing was tuned on, from DICOM files to a judged plan; coarse.

A spine with the cord in the middle of a ring, after three fractions of 9 Gy and a boost; a target
that reaches out of the chest of somebody who had nothing before, with names no table knows.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from rerad import dicom
from rerad.case import import_folder, load_case, read_case, write_case
from rerad.case.history_schema import CourseTable, PrescriptionTable
from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    Dose,
    Grid,
    Image,
    ImageUnit,
    Modality,
    Patient,
    PatientPosition,
    Plan,
    Prescription,
    StructureKind,
    StructureSet,
)
from rerad.dicom import StudyHeader, UidFactory
from rerad.dosecalc import load_machine
from rerad.evaluation import dvh, evaluate_metric
from rerad.planning import CaseResult, run_pipeline
from rerad.radiobiology import physical_from_eqd2
from rerad.structures import contours_from_mask

pytestmark = [pytest.mark.workflow, pytest.mark.xdist_group("other-patients")]

PATIENT = Patient("STRANGER", "Fremd^Änne")
SPACING_MM = 5.0
HELD_GY, FINAL_GY = 0.03, 0.5
"""What the optimiser and the final dose may exceed a cumulative limit by."""

Shape = np.ndarray


def silent(what: str, share: float) -> None:
    """Say nothing."""


class Anatomy:
    """Shapes on one grid, written as CT and structures of one visit."""

    def __init__(self, frame_uid: str, n_slices: int = 22) -> None:
        shape = (n_slices, 34, 42)
        origin = tuple(-0.5 * (n - 1) * SPACING_MM for n in reversed(shape))
        self.grid = Grid(shape, origin, (SPACING_MM,) * 3, frame_uid)
        self.z, self.y, self.x = np.meshgrid(*self.grid.axes_mm[::-1], indexing="ij")
        self.body = (self.x / 90) ** 2 + (self.y / 70) ** 2 <= 1

    def tube(self, x_mm: float, y_mm: float, radius_mm: float) -> Shape:
        """Return a round tube along the body."""
        return (self.x - x_mm) ** 2 + (self.y - y_mm) ** 2 <= radius_mm**2

    def write(
        self, folder: Path, shapes: dict[str, tuple[Shape, StructureKind]], uids: UidFactory
    ) -> tuple[Image, StructureSet, StudyHeader]:
        """Write CT and structures into a folder of their own."""
        header = StudyHeader(study_uid=uids.new("study"), uids=uids)
        hu = np.where(self.body, 0, -1000).astype(np.int16)
        image = Image(hu, self.grid, Modality.CT, ImageUnit.HU)
        image = dicom.write_image(image, PATIENT, folder / "ct", study=header)
        drawn = StructureSet(
            "set",
            tuple(
                contours_from_mask(shape.astype(np.float32), self.grid, name=name, kind=kind)
                for name, (shape, kind) in shapes.items()
            ),
        )
        path = folder / "rs.dcm"
        drawn = dicom.write_structure_set(drawn, image, PATIENT, path, study=header)
        return image, drawn, header


def write_course(
    folder: Path,
    visit: tuple[Image, StructureSet, StudyHeader],
    dose_gy: np.ndarray,
    n_fractions: int,
) -> None:
    """Write RTPLAN and RTDOSE of an earlier course on a visit's CT."""
    image, drawn, header = visit
    machine = load_machine("generic_6mv")
    leaves = np.array([[-20.0], [20.0]]) * np.ones((2, machine.mlc.n_leaf_pairs))
    points = tuple(ControlPoint(w, (-20.0, 20.0), (-20.0, 20.0), leaves) for w in (0.0, 1.0))
    plan = Plan(
        f"{n_fractions} fractions",
        image.grid.frame_uid,
        PatientPosition.HFS,
        machine.name,
        n_fractions,
        (Prescription("PTV", float(dose_gy.max())),),
        (Beam(1, BeamGeometry("AP", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0)), points, 100.0),),
        structure_set_uid=drawn.instance_uid,
    )
    name = f"{n_fractions}.dcm"
    plan = dicom.write_plan(
        plan, machine, PATIENT, folder / f"rp{name}", study=header, image=image, prior=None
    )
    dose = Dose(dose_gy.astype(np.float32), image.grid)
    dicom.write_dose(dose, PATIENT, folder / f"rd{name}", study=header, plans=(plan,))


@dataclass(frozen=True)
class Planned:
    """A case as it was imported and what came of it."""

    missing: tuple[str, ...]
    n_earlier: int
    result: CaseResult

    @property
    def codes(self) -> set[str]:
        return {item.code for item in self.result.findings}

    def text(self, code: str) -> str:
        return next(item.text for item in self.result.findings if item.code == code)


def planned(folder: Path, *, target: str, dose_gy: float, n_fractions: int, **planning) -> Planned:
    """Import a folder, say what it cannot know, and plan it coarsely."""
    report = import_folder(folder / "patient", folder / "case")
    file = read_case(report.case_file)
    choices = {
        "dose_grid_mm": 5.0,
        "n_correction_passes": 1,
        "n_leaf_refinements": 0,
        "max_evaluations": 60,
        "compared_rule_sets": (),
        **planning,
    }
    course = CourseTable(
        name="Today",
        prescriptions=(PrescriptionTable(structure=target, dose_gy=dose_gy),),
        n_fractions_planned=n_fractions,
        n_fractions_delivered="unknown",
        order=100,
    )
    given = tuple(
        item.model_copy(update={"n_fractions_delivered": item.n_fractions_planned})
        for item in file.prior_course
    )
    changes = {
        "planning": file.planning.model_copy(update=choices),
        "current_course": course,
        "prior_course": given,
    }
    write_case(file.model_copy(update=changes), report.case_file)
    result = run_pipeline(load_case(folder / "case").inputs, silent)
    return Planned(report.missing, len(given), result)


# ------------------------------------------------------- the cord in the middle of a ring

CORD_MM = (0.0, 35.0)
RULE_AB_GY = 2.5


@pytest.fixture(scope="module")
def spine(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """27 Gy in 3 around the cord, 10 Gy in 5 over it, and 25 Gy in 5 asked for once more."""
    folder, uids = tmp_path_factory.mktemp("spine"), UidFactory("spine")
    anatomy = Anatomy(uids.new("frame"))
    radius = np.hypot(anatomy.x - CORD_MM[0], anatomy.y - CORD_MM[1])
    middle = np.abs(anatomy.z) <= 25
    shapes = {
        "Body": (anatomy.body, StructureKind.EXTERNAL),
        "PTV_2500": ((radius > 10) & (radius <= 26) & middle, StructureKind.PTV),
        "SpinalCord": (anatomy.tube(*CORD_MM, 7.0), StructureKind.OAR),
    }
    first = anatomy.write(folder / "patient" / "first", shapes, uids)
    rings = 27.0 * np.exp(-(((radius - 17) / 12) ** 2)) / (1 + np.exp((abs(anatomy.z) - 25) / 4))
    write_course(folder / "patient" / "first", first, rings, 3)
    boost = 10.0 / (1 + np.exp((radius - 30) / 5))
    write_course(folder / "patient" / "first", first, boost, 5)
    anatomy.write(folder / "patient" / "today", shapes, uids)
    return planned(
        folder,
        target="PTV_2500",
        dose_gy=25.0,
        n_fractions=5,
        rule_set="umich",
        recovery_table="none",
    )


def test_both_courses_of_a_ct_that_shares_todays_frame_are_found(spine: Planned) -> None:
    assert spine.n_earlier == 2
    assert not any("prior_course: no earlier" in text for text in spine.missing)


def test_the_caps_hold_in_optimiser_and_final_dose(spine: Planned) -> None:
    assert spine.result.convergence.cap_violation_gy <= HELD_GY
    cord = next(row for row in spine.result.summary if row.structure == "SpinalCord")
    assert cord.prior_eqd2_gy > 25
    assert cord.cumulative_eqd2_gy <= 50.0 + FINAL_GY
    assert not spine.codes & {"limit-not-held", "limit-exceeded"}


def test_the_sum_is_that_of_every_course_at_its_own_fractions(spine: Planned) -> None:
    """EQD2 by hand, voxel by voxel: all grids are the CT's, so nothing is interpolated."""
    result = spine.result

    def eqd2(dose: np.ndarray, n: int) -> np.ndarray:
        return dose * (dose / n + RULE_AB_GY) / (2 + RULE_AB_GY)

    total = eqd2(result.planned.physical.values.astype(np.float64), 5)
    for prior in result.priors:
        assert prior.study.dose is not None
        n = prior.course.n_fractions_planned
        assert n is not None
        given = Dose(eqd2(prior.study.dose.values.astype(np.float64), n), prior.study.dose.grid)
        place = result.planned.physical.grid.points(np.argwhere(np.ones(total.shape, dtype=bool)))
        index = np.rint(given.grid.indices(place)).astype(int)
        total += given.values[tuple(index.T)].reshape(total.shape)
    by_hand = evaluate_metric(
        "Dmax",
        dvh(
            Dose(total.astype(np.float32), result.planned.physical.grid),
            result.structures["SpinalCord"],
        ),
    )
    cord = next(row for row in result.summary if row.structure == "SpinalCord")
    assert cord.cumulative_eqd2_gy == pytest.approx(by_hand, abs=0.3)


def test_the_ring_gets_more_than_the_cord_may_have(spine: Planned) -> None:
    """A plan that gave the same to both could give what the limit leaves the cord's maximum."""
    cord = next(row for row in spine.result.summary if row.structure == "SpinalCord")
    ring = dvh(spine.result.planned.physical, spine.result.structures["PTV_2500"])
    left = physical_from_eqd2(50.0 - cord.prior_eqd2_gy, n_fractions=5, alpha_beta_gy=RULE_AB_GY)
    assert evaluate_metric("D95%", ring) > left + 2.0


# ------------------------------------------------------- out of the chest, in other languages


@pytest.fixture(scope="module")
def chest(tmp_path_factory: pytest.TempPathFactory) -> Planned:
    """A chest wall target that reaches 10 mm into air; nothing was given before."""
    folder, uids = tmp_path_factory.mktemp("chest"), UidFactory("chest")
    anatomy = Anatomy(uids.new("frame"), 18)
    wall = (np.abs(anatomy.x) <= 30) & (anatomy.y < -40) & (anatomy.y > -80)
    shapes = {
        "Körper außen": (anatomy.body, StructureKind.EXTERNAL),
        "Zielvolumen (PTV) vorn": (wall & (np.abs(anatomy.z) <= 20), StructureKind.PTV),
        "moelle épinière": (anatomy.tube(0.0, 45.0, 7.0), StructureKind.OAR),
        "Heart": (anatomy.tube(15.0, -5.0, 25.0), StructureKind.OAR),
        "Lung_L": (anatomy.tube(50.0, 0.0, 25.0), StructureKind.OAR),
    }
    anatomy.write(folder / "patient", shapes, uids)
    return planned(
        folder, target="Zielvolumen (PTV) vorn", dose_gy=40.0, n_fractions=15, rule_set="umich"
    )


def test_a_target_in_air_is_said_and_does_not_open_beams_without_end(chest: Planned) -> None:
    assert "Zielvolumen (PTV) vorn" in chest.text("target-outside-body")
    mu = sum(beam.meterset_mu for beam in chest.result.plan.beams)
    assert mu < 400 * 40.0 / 15  # monitor units a fraction; it was ten times as much
    inside = chest.result.masks["Körper außen"].on(chest.result.planned.physical.grid) > 0.99
    wall = (
        chest.result.masks["Zielvolumen (PTV) vorn"].on(chest.result.planned.physical.grid) > 0.5
    )
    assert np.median(chest.result.planned.physical.values[inside & wall]) > 0.9 * 40.0


def test_organs_nobody_limits_are_named(chest: Planned) -> None:
    assert "moelle épinière" in chest.text("name-without-limit")
    assert "Lung_L (at least 1000 cc below 16 Gy EQD2)" in chest.text("limit-not-judged")


def test_nothing_before_is_none_and_not_unknown(chest: Planned) -> None:
    heart = next(row for row in chest.result.summary if row.structure == "Heart")
    assert heart.prior_eqd2_gy == 0.0
    assert heart.cumulative_eqd2_gy <= 70.0 + FINAL_GY
