"""From objectives to a deliverable plan: optimise, sequence, recalculate, correct, repeat.

The optimiser works on a fast operator; what is reported is the final dose of the leaf sequence.
The difference between the two is held as a constant background in the next optimisation, so the
plan is optimised on the dose that it will really give.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import (
    Beam,
    BeamGeometry,
    Course,
    Dose,
    Finding,
    Grid,
    Image,
    Machine,
    Mask,
    PatientPosition,
    Plan,
    Severity,
)
from rerad.dosecalc import (
    PencilBeamOperator,
    build_operator,
    dose_in_body,
    final_dose,
    make_bixel_grid,
    split_fluence,
)
from rerad.errors import InputError
from rerad.optimize import (
    DoseCap,
    FluenceSmoothness,
    Multipliers,
    Problem,
    SolveSettings,
    solve,
    uniform_start_mu,
)
from rerad.planning.agreement import agreement
from rerad.planning.inputs import ObjectiveSettings, Progress
from rerad.planning.points import Points, choose_points
from rerad.planning.result import Convergence, PassAgreement
from rerad.planning.terms import (
    Anatomy,
    OrganCap,
    PhysicalCap,
    normal_tissue_term,
    organ_caps,
    organ_terms,
    physical_terms,
    target_terms,
)
from rerad.sequencing import (
    SequenceSettings,
    check_deliverable,
    complexity,
    sequence_sliding_window,
)

SHELL_MM = 10.0
"""Around the targets every voxel is looked at; most of the fall-off happens here."""

KEEP_ONE_IN = 32
"""Share of the remaining body voxels that the optimiser looks at."""

SMALLEST_BEAM_MU = 0.5
"""A beam whose brightest beamlet gets less than this in a fraction is not worth delivering."""


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """How a plan is made.

    Parameters
    ----------
    column_width_mm, field_margin_mm : float
        Beamlet width along the leaf travel; opening around the projected targets.
    n_correction_passes : int
        Repetitions with the final dose's difference as background.
    max_evaluations : int
        Of the first optimisation; corrections start warm and take half.
    seed : int
        Of the sampled voxels.
    """

    column_width_mm: float
    field_margin_mm: float
    n_correction_passes: int
    max_evaluations: int
    seed: int


@dataclass(frozen=True, eq=False, slots=True)
class PlanRequest:
    """What a plan is made of.

    Parameters
    ----------
    label : str
        Of the plan.
    course : Course
        Prescriptions and planned fractions.
    grid : Grid
        The dose grid.
    density : Image
        Mass density of all that beams pass; the dose grid is a crop of its grid.
    masks : mapping of str to Mask
        Structures on crops of the dose grid.
    body : Mask
        Outline of the patient.
    machine : Machine
        To plan for.
    beams : tuple of BeamGeometry
        Directions.
    organ_caps : tuple of OrganCap
        Cumulative limits.
    physical_caps : tuple of PhysicalCap
        Bounds on this plan's own dose.
    objectives : ObjectiveSettings
        Weights.
    settings : PlanSettings
        How it is made.
    """

    label: str
    course: Course
    grid: Grid
    density: Image
    masks: Mapping[str, Mask]
    body: Mask
    machine: Machine
    beams: tuple[BeamGeometry, ...]
    organ_caps: tuple[OrganCap, ...]
    physical_caps: tuple[PhysicalCap, ...]
    objectives: ObjectiveSettings
    settings: PlanSettings

    @property
    def position(self) -> PatientPosition:
        """How the patient lies."""
        return self.density.patient_position

    @property
    def n_fractions(self) -> int:
        """Planned fractions."""
        if not self.course.n_fractions_planned:
            msg = f"{self.course.name}: expected a planned number of fractions of at least 1"
            raise InputError(msg)
        return self.course.n_fractions_planned


@dataclass(frozen=True, eq=False, slots=True)
class PlanOutcome:
    """A deliverable plan and its dose.

    Parameters
    ----------
    plan : Plan
        Checked against the machine.
    dose : Dose
        Final physical dose of all planned fractions.
    convergence : Convergence
        Of the last optimisation.
    complexity : mapping of str to float
        Of the leaf sequence.
    findings : tuple of Finding
        What could not be limited.
    """

    plan: Plan
    dose: Dose
    convergence: Convergence
    complexity: Mapping[str, float]
    findings: tuple[Finding, ...]


def coplanar_beams(
    gantry_angles_deg: tuple[float, ...],
    collimator_angle_deg: float,
    isocenter_mm: tuple[float, float, float],
) -> tuple[BeamGeometry, ...]:
    """Return coplanar beams about one isocentre, named after their gantry angles."""
    return tuple(
        BeamGeometry(f"G{angle:05.1f}", angle, collimator_angle_deg, 0.0, isocenter_mm)
        for angle in gantry_angles_deg
    )


def isocenter_of(mask: Mask) -> tuple[float, float, float]:
    """Return the middle of a target's bounding box, to 0.1 mm."""
    inside = np.argwhere(mask.fraction > 0)
    if not len(inside):
        msg = f"{mask.name} is empty on the dose grid, so no isocentre can be put into it"
        raise InputError(msg)
    middle = mask.grid.points(0.5 * (inside.min(axis=0) + inside.max(axis=0)))
    x, y, z = (round(float(v), 1) for v in middle)
    return x, y, z


def make_plan(request: PlanRequest, progress: Progress) -> PlanOutcome:
    """Make a deliverable plan.

    Parameters
    ----------
    request : PlanRequest
        What is wanted and on what.
    progress : callable
        Told what is being done and the share done.

    Returns
    -------
    PlanOutcome
        The dose is that of the leaf sequence, never of ideal fluence.

    Raises
    ------
    StructureNotFoundError, InputError
        If a target is missing or empty.
    DeliverabilityError
        If the machine cannot deliver the sequence.
    """
    anatomy = Anatomy.build(
        request.grid, request.masks, request.body, request.course.prescriptions
    )
    points = _points(request, anatomy)
    progress("tracing rays and building the dose operator", 0.0)
    operator = _operator(request, anatomy, points)
    problem, findings = _problem(request, anatomy, points, operator)
    background: NDArray[np.float64] | None = None
    fluence: NDArray[np.float64] | None = None
    multipliers: Multipliers | None = None
    passes: list[PassAgreement] = []
    n_passes = request.settings.n_correction_passes + 1
    for number in range(n_passes):
        n_evaluations = request.settings.max_evaluations // (1 if number == 0 else 2)
        solution = solve(
            replace(problem, background_dose_gy=background),
            SolveSettings(max_evaluations=n_evaluations),
            start=fluence,
            multipliers=multipliers,
            progress=SolverProgress(
                progress, f"optimising, pass {number + 1} of {n_passes}", n_evaluations
            ),
        )
        fluence, multipliers = solution.fluence_mu, solution.multipliers
        progress(f"sequencing and recalculating, pass {number + 1} of {n_passes}", 0.9)
        plan, unused = _sequence(request, operator, fluence)
        dose = final_dose(plan, request.machine, request.density, request.grid)
        dose = dose_in_body(dose, request.body)
        final = points.sample(np.nan_to_num(dose.values))
        ideal = operator.forward(fluence)
        seen = ideal if background is None else ideal + background
        passes.append(_agreement(request, points, seen, final))
        background = final - ideal
    check_deliverable(plan, request.machine)
    if not solution.is_converged:
        text = (
            f"The optimiser stopped before it had settled ({solution.status}). The verdicts are "
            "of the final dose all the same; more evaluations may improve the plan."
        )
        findings.append(Finding(Severity.NOTE, "optimiser-not-settled", text))
    return PlanOutcome(
        plan=plan,
        dose=dose,
        convergence=Convergence(
            objective=tuple(value for _, value in solution.history),
            term_values=dict(solution.term_values),
            status=solution.status,
            passes=tuple(passes),
        ),
        complexity=_complexity(plan, request.machine),
        findings=(*findings, *unused),
    )


def _agreement(
    request: PlanRequest,
    points: Points,
    seen_gy: NDArray[np.float64],
    final_gy: NDArray[np.float64],
) -> PassAgreement:
    """Compare what the optimiser saw with the final dose in targets and limited organs."""
    targets = {item.structure for item in request.course.prescriptions}
    organs = {cap.structure for cap in request.organ_caps}
    organs = (organs | {cap.structure for cap in request.physical_caps}) - targets
    return agreement(
        seen_gy,
        final_gy,
        points,
        targets={name: request.masks[name] for name in sorted(targets)},
        organs={name: request.masks[name] for name in sorted(organs)},
    )


def _points(request: PlanRequest, anatomy: Anatomy) -> Points:
    """Choose the voxels that the optimiser looks at."""
    names = {item.structure for item in request.course.prescriptions}
    names |= {cap.structure for cap in request.organ_caps}
    names |= {cap.structure for cap in request.physical_caps}
    return choose_points(
        request.grid,
        body=request.body,
        complete=[request.masks[name] for name in sorted(names)],
        shell_distance_mm=anatomy.nearest_target_mm(),
        shell_mm=SHELL_MM,
        keep_one_in=KEEP_ONE_IN,
        seed=request.settings.seed,
    )


def _operator(request: PlanRequest, anatomy: Anatomy, points: Points) -> PencilBeamOperator:
    """Build the fluence-to-dose operator of all beams."""
    inside = np.argwhere(anatomy.nearest_target_mm() <= 0)
    target_points = request.grid.points(inside)
    bixels = [
        make_bixel_grid(
            geometry,
            request.machine,
            target_points,
            margin_mm=request.settings.field_margin_mm,
            column_width_mm=request.settings.column_width_mm,
            position=request.position,
        )
        for geometry in request.beams
    ]
    return build_operator(
        request.machine, request.density, points.indices, request.grid, bixels, request.position
    )


def _problem(
    request: PlanRequest, anatomy: Anatomy, points: Points, operator: PencilBeamOperator
) -> tuple[Problem, list[Finding]]:
    """State what is wanted."""
    weights = request.objectives
    organs, findings = organ_terms(
        anatomy, points, request.organ_caps, weights, request.n_fractions
    )
    terms = [
        *target_terms(anatomy, points, weights),
        *normal_tissue_term(anatomy, points, weights),
        *organs,
        *physical_terms(anatomy, points, request.physical_caps, weights),
    ]
    caps: tuple[DoseCap, ...] = ()
    if weights.organ_limits_are_hard:
        caps = organ_caps(anatomy, points, request.organ_caps, request.n_fractions)
    problem = Problem(operator, tuple(terms), caps=caps)
    if weights.smoothness_importance > 0:
        smoothness = FluenceSmoothness(
            "smoothness",
            operator.bixel_grids,
            uniform_start_mu(problem),
            weights.smoothness_importance,
        )
        problem = replace(problem, fluence_terms=(smoothness,))
    return problem, findings


def _complexity(plan: Plan, machine: Machine) -> dict[str, float]:
    """Return the plan's own measures of complexity by name."""
    measured = complexity(plan, machine)
    values = {item.name: getattr(measured, item.name) for item in fields(measured)}
    return {name: float(v) for name, v in values.items() if isinstance(v, int | float)}


def _sequence(
    request: PlanRequest, operator: PencilBeamOperator, fluence_mu: NDArray[np.float64]
) -> tuple[Plan, list[Finding]]:
    """Turn the fluence into leaf motions; beams that are not wanted are left out and named."""
    beams: list[Beam] = []
    findings: list[Finding] = []
    for fluence in split_fluence(operator.bixel_grids, fluence_mu):
        name = fluence.grid.geometry.name
        if fluence.values_mu.max() < SMALLEST_BEAM_MU * request.n_fractions:
            text = f"The optimiser has no use for beam {name}; it is not in the plan."
            findings.append(Finding(Severity.NOTE, "beam-not-used", text, name))
            continue
        beams.extend(
            sequence_sliding_window(
                fluence,
                request.machine,
                n_fractions=request.n_fractions,
                first_beam_number=len(beams) + 1,
                settings=SequenceSettings(),
            )
        )
    plan = Plan(
        label=request.label,
        frame_uid=request.grid.frame_uid,
        patient_position=request.position,
        machine_name=request.machine.name,
        n_fractions_planned=request.n_fractions,
        prescriptions=request.course.prescriptions,
        beams=tuple(beams),
    )
    return plan, findings


@dataclass(frozen=True, slots=True)
class SolverProgress:
    """Tells how far an optimisation is."""

    progress: Progress
    label: str
    n_evaluations: int

    def __call__(self, n_done: int, objective: float) -> None:
        """Pass on the number of evaluations and the objective."""
        share = min(1.0, n_done / self.n_evaluations)
        self.progress(f"{self.label}: objective {objective:.4g}", share)
