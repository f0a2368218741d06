"""A box of water with a target, an organ that holds it in part, and an earlier course."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import (
    Contour,
    Course,
    Dose,
    DoseScope,
    Goal,
    Grid,
    Image,
    ImageUnit,
    Modality,
    Patient,
    Prescription,
    RecordGrade,
    RigidTransform,
    Structure,
    StructureKind,
    StructureSet,
    Study,
    TreatmentHistory,
)
from rerad.dosecalc import load_machine
from rerad.imaging import load_hounsfield_curve
from rerad.planning import (
    LimitChoice,
    MediumSettings,
    ObjectiveSettings,
    PlanningInputs,
    PlanningSettings,
    PriorCourse,
    PriorInput,
    coplanar_beams,
)
from rerad.radiobiology import to_eqd2
from rerad.structures import EndSlab

FRAME = "1.2.3"
ANGLES_DEG = (0.0, 51.0, 103.0, 154.0, 206.0, 257.0, 309.0)
GRID = Grid((26, 50, 56), (-82.5, -73.5, -37.5), (3.0, 3.0, 3.0), FRAME)


def box(name: str, kind: StructureKind, low: tuple, high: tuple) -> Structure:
    """Return a box drawn on the slices of the grid."""
    square = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    heights = GRID.axes_mm[2]
    contours = tuple(
        Contour(float(z), square.astype(float)) for z in heights if low[2] < z < high[2]
    )
    return Structure(name, kind, FRAME, contours, GRID.spacing_mm[2])


STRUCTURES = StructureSet(
    "today",
    (
        box("Body", StructureKind.EXTERNAL, (-70, -60, -40), (70, 60, 40)),
        box("PTV_4000", StructureKind.PTV, (-20, -20, -20), (20, 20, 20)),
        box("SacralPlex_R", StructureKind.OAR, (-40, -10, -20), (0, 10, 20)),
        box("Bladder", StructureKind.OAR, (0, -55, -20), (50, -34, 20)),
    ),
)
"""Half of the plexus lies in the target; the bladder is in front of it."""


def course(name: str, planned: int | None = 25, delivered: int | None = 25) -> Course:
    return Course(
        name=name,
        site="",
        technique="",
        prescriptions=(Prescription("PTV_4500", 45.0),),
        n_fractions_planned=planned,
        n_fractions_delivered=delivered,
        grade=RecordGrade.FULL_DICOM,
    )


def water() -> Image:
    z, y, x = np.meshgrid(*GRID.axes_mm[::-1], indexing="ij")
    inside = (np.abs(x) < 70) & (np.abs(y) < 60)
    values = np.where(inside, 0, -1000).astype(np.int16)
    del z
    return Image(values, GRID, Modality.CT, ImageUnit.HU)


@pytest.fixture(scope="session")
def make_inputs() -> Callable[..., PlanningInputs]:
    """Return a maker of inputs; keyword arguments replace settings of `PlanningSettings`."""

    def make(
        *, interval_months: float | None = None, prior_gy: float | None = 45.0, **changes: object
    ) -> PlanningInputs:
        image = water()
        priors: tuple[PriorInput, ...] = ()
        if prior_gy is not None:
            dose = Dose(np.full(GRID.shape, prior_gy), GRID)
            priors = (PriorInput(course("Course 1"), Study(image, dose=dose), interval_months),)
        current = replace(
            course("Course 2", 22, 15), prescriptions=(Prescription("PTV_4000", 40.0),)
        )
        settings = PlanningSettings(
            rule_set="slevin2021",
            compared_rule_sets=("umich",),
            limit_choice=LimitChoice.STRICTEST,
            recovery_table="umich",
            tumor_alpha_beta_gy=10.0,
            tumor_alpha_beta_citation="test",
            dose_grid_mm=3.0,
            end_slab=EndSlab.FLAT,
            column_width_mm=5.0,
            field_margin_mm=6.0,
            n_correction_passes=1,
            max_evaluations=120,
            seed=1,
        )
        return PlanningInputs(
            title="test",
            history=TreatmentHistory(
                Patient("1"), "", tuple(p.course for p in priors), (1,), (), ()
            ),
            current=current,
            current_order=2,
            image=image,
            structures=STRUCTURES,
            pet_suv=None,
            mr=None,
            priors=priors,
            machine=load_machine("generic_6mv"),
            medium=MediumSettings(load_hounsfield_curve("water_linear")),
            beams=coplanar_beams(ANGLES_DEG, 0.0, (0.0, 0.0, 0.0)),
            goals=(
                Goal("PTV_4000", "D95%", DoseScope.PLAN, "%", at_least=95.0),
                Goal("Bladder", "Dmax", DoseScope.PLAN, "Gy", at_most=30.0),
            ),
            settings=replace(settings, **changes),  # type: ignore[arg-type]
            objectives=ObjectiveSettings(
                target_overdose_percent=105.0,
                target_importance=100.0,
                target_overdose_importance=100.0,
                organ_importance=200.0,
                organ_mean_importance=0.02,
                normal_tissue_importance=20.0,
                falloff_start_percent=100.0,
                falloff_end_percent=35.0,
                falloff_per_mm=0.08,
                smoothness_importance=1.0,
                organ_limits_are_hard=True,
                organ_limit_margin_gy=0.0,
            ),
        )

    return make


def carried(prior: PriorInput, *alpha_betas_gy: float) -> PriorCourse:
    """Return a course of today's own frame, as if mapped."""
    dose = prior.study.dose
    assert dose is not None
    return PriorCourse(
        course=prior.course,
        study=prior.study,
        transform=RigidTransform.identity(FRAME),
        registration=None,
        image_on_planning=prior.study.image,
        physical_on_planning=dose,
        eqd2_on_planning={
            value: to_eqd2(dose, n_fractions_planned=25, alpha_beta_gy=value)
            for value in alpha_betas_gy
        },
    )


@pytest.fixture(scope="session")
def carry() -> Callable[..., PriorCourse]:
    """Return the function that carries a course of today's own frame."""
    return carried


@pytest.fixture(scope="session")
def structures() -> StructureSet:
    """Return what is drawn."""
    return STRUCTURES
