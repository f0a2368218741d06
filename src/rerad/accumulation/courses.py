"""Courses made of phases: each converted on its own grid with its own fractions, mapped, added.

A course is one or more phases (sequential plans, external beam and brachytherapy) that share one
registration. A simultaneous integrated boost is one phase: every voxel has its own dose per
fraction. Only one mapped phase is held beside the sum, so that large images fit. Doses in Gy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rerad.accumulation.map_dose import map_dose
from rerad.core import Dose, DoseQuantity, Grid, RecordGrade, Transform
from rerad.errors import InputError, QuantityMismatchError
from rerad.radiobiology import to_eqd2


@dataclass(frozen=True, eq=False, slots=True)
class PhaseDose:
    """The dose of one plan and how much of it was given.

    Parameters
    ----------
    dose : Dose
        Total physical dose as planned, on its own grid.
    n_fractions_planned : int
        Fractions that `dose` is the total of, at least 1.
    n_fractions_delivered : int
        Whole fractions given, 0 or more.
    partial_fractions : tuple of float
        Share of the monitor units given in each fraction that was broken off and not completed
        on the same day, above 0 and below 1: such a fraction has a smaller dose per fraction.
    label : str
        What to call it.

    Raises
    ------
    QuantityMismatchError
        If the dose is not physical.
    InputError
        If a number is out of range.
    """

    dose: Dose
    n_fractions_planned: int
    n_fractions_delivered: int
    partial_fractions: tuple[float, ...] = ()
    label: str = ""

    def __post_init__(self) -> None:
        if self.dose.quantity is not DoseQuantity.PHYSICAL:
            msg = (
                f"{self.label or 'phase'}: expected a physical dose to accumulate from, got "
                f"{self.dose.quantity}; give the dose as planned"
            )
            raise QuantityMismatchError(msg)
        if self.n_fractions_planned < 1 or self.n_fractions_delivered < 0:
            msg = (
                f"{self.label or 'phase'}: expected at least 1 planned and 0 delivered fractions, "
                f"got {self.n_fractions_planned} and {self.n_fractions_delivered}"
            )
            raise InputError(msg)
        if not all(0 < share < 1 for share in self.partial_fractions):
            msg = (
                f"{self.label or 'phase'}: expected shares of a fraction above 0 and below 1, got "
                f"{self.partial_fractions}; count whole fractions as such"
            )
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class CourseDose:
    """An earlier course ready to be added.

    Parameters
    ----------
    name : str
        What to call it.
    phases : tuple of PhaseDose
        At least one.
    transform : RigidTransform or DisplacementField
        From the frame of its doses to the frame of the sum.
    recovery_fraction : float
        Share of its EQD2 taken as forgotten, 0 to 1.
    grade : RecordGrade
        How much is on record.
    """

    name: str
    phases: tuple[PhaseDose, ...]
    transform: Transform
    recovery_fraction: float = 0.0
    grade: RecordGrade = RecordGrade.DOSE_GRID

    def __post_init__(self) -> None:
        object.__setattr__(self, "phases", tuple(self.phases))
        if not self.phases:
            msg = f"{self.name}: expected at least one phase with a dose, got none"
            raise InputError(msg)
        if not 0 <= self.recovery_fraction <= 1:
            msg = (
                f"{self.name}: expected a recovery fraction of 0 to 1, "
                f"got {self.recovery_fraction}"
            )
            raise InputError(msg)


def phase_eqd2(phase: PhaseDose, alpha_beta_gy: float) -> Dose:
    """Return the EQD2 of what was given of a phase, on its own grid.

    Whole fractions keep their dose per fraction; each broken fraction is converted by itself.

    Parameters
    ----------
    phase : PhaseDose
        Dose and fractions.
    alpha_beta_gy : float
        Of the tissue, above 0.
    """
    total = to_eqd2(
        phase.dose,
        n_fractions_planned=phase.n_fractions_planned,
        n_fractions_delivered=phase.n_fractions_delivered,
        alpha_beta_gy=alpha_beta_gy,
    )
    for share in phase.partial_fractions:
        part = phase.dose.scaled(share / phase.n_fractions_planned)
        total = total + to_eqd2(part, n_fractions_planned=1, alpha_beta_gy=alpha_beta_gy)
    return total


def course_eqd2(course: CourseDose, onto: Grid, alpha_beta_gy: float) -> Dose:
    """Return the EQD2 of a course on a grid, after its recovery.

    Parameters
    ----------
    course : CourseDose
        Phases, transform, recovery.
    onto : Grid
        Wanted voxels, in the frame that the transform leads to.
    alpha_beta_gy : float
        Of the tissue.

    Returns
    -------
    Dose
        Unknown (NaN) where any phase is: a phase that ends inside the patient leaves the sum open.
    """
    return accumulate([course], onto, alpha_beta_gy=alpha_beta_gy)


def accumulate(courses: Sequence[CourseDose], onto: Grid, *, alpha_beta_gy: float) -> Dose:
    """Add the EQD2 of courses on one grid.

    Parameters
    ----------
    courses : sequence of CourseDose
        At least one.
    onto : Grid
        Wanted voxels.
    alpha_beta_gy : float
        Of the tissue, above 0. No default: the choice is clinical.

    Returns
    -------
    Dose
        EQD2; NaN where any course is unknown.

    Raises
    ------
    InputError
        If there is no course.
    FrameMismatchError
        If a transform does not lead from a dose's frame to that of `onto`.

    References
    ----------
    .. [1] Appelt et al. (2026), Radiother. Oncol. 214, 111313,
       doi:10.1016/j.radonc.2025.111313 (rescale to equieffective dose before summation).
    """
    if not courses:
        msg = "expected at least one course to add, got none"
        raise InputError(msg)
    total: np.ndarray | None = None
    for course in courses:
        kept = np.float32(1.0 - course.recovery_fraction)
        for phase in course.phases:
            mapped = map_dose(phase_eqd2(phase, alpha_beta_gy), course.transform, onto)
            if total is None:
                total = mapped.values * kept if kept != 1 else np.array(mapped.values)
            else:
                # In place: a CT of 52 million voxels takes 210 MB, and there may be many phases.
                np.add(total, mapped.values if kept == 1 else mapped.values * kept, out=total)
            del mapped
    if total is None:  # excluded by CourseDose
        raise AssertionError(courses)
    total.setflags(write=False)
    label = " + ".join(course.name for course in courses)
    first = courses[0].phases[0].dose
    return replace(
        first,
        values=total,
        grid=onto,
        quantity=DoseQuantity.EQD2,
        alpha_beta_gy=alpha_beta_gy,
        label=label,
        instance_uid="",
    )
