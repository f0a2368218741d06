"""What a case leaves: earlier courses carried onto today's CT, every limit, what remains.

No plan is made. Courses known from paper or points are judged on their upper bound, and the budget
is worked out once more on the best estimate, so that both ends of the band are seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rerad.case.course_bands import with_bands
from rerad.case.load import LoadedCase, load_case
from rerad.case.prior_mapping import with_registrations
from rerad.core import Finding, Grid, Mask, RecoveryBasis, Severity
from rerad.errors import MissingDataError
from rerad.planning import (
    BudgetRow,
    BudgetScenario,
    PlanningInputs,
    PriorCourse,
    Progress,
    dose_grid_for,
    external_of,
    rasterize_all,
)
from rerad.planning.budget import (
    OrganLimit,
    limit_organ,
    make_budget,
    required_alpha_betas_gy,
    spelling_findings,
)
from rerad.planning.cord_rules import CordScore, HytecCheck, cord_rules
from rerad.planning.history import carry_priors, prior_findings
from rerad.planning.judgement import Judgement
from rerad.planning.reconstruct import DoseBand
from rerad.planning.remaining_map import RemainingMap, remaining_map
from rerad.radiobiology import (
    SpineLevel,
    break_even_interval,
    eqd2,
    limits_for,
)


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From which interval today's prescription would fit in an organ under a discounted limit.

    Parameters
    ----------
    structure, rule_set : str
        Organ and whose limit.
    planned_gy : float
        Physical dose of today's course that the organ is taken to get in full.
    months : float or None
        None if no interval of the recovery table is long enough; NaN if the earlier dose is not
        known.
    """

    structure: str
    rule_set: str
    planned_gy: float
    months: float | None


@dataclass(frozen=True, eq=False, slots=True)
class CaseBudget:
    """What a case leaves.

    Parameters
    ----------
    loaded : LoadedCase
        The case, with bounded courses.
    grid : Grid
        Dose grid.
    masks : dict of str to Mask
        Structures on it.
    priors : tuple of PriorCourse
        Earlier courses on it.
    rows : tuple of BudgetRow
        On upper bounds, where a course is a band.
    best_rows : tuple of BudgetRow
        On best estimates; empty if no course is a band with one.
    limits : tuple of OrganLimit
        That a plan would be made under.
    remaining : RemainingMap or None
        Voxel by voxel; None without a limit.
    break_even : tuple of BreakEven
        For today's highest prescription.
    cord : tuple of CordScore
        Nieder score, where a level above the end of the conus is stated.
    hytec : tuple of HytecCheck
        The four factors of HyTEC, where the course to come has at most five fractions besides.
    findings : tuple of Finding
        What the reader must weigh.
    """

    loaded: LoadedCase
    grid: Grid
    masks: dict[str, Mask]
    priors: tuple[PriorCourse, ...]
    rows: tuple[BudgetRow, ...]
    best_rows: tuple[BudgetRow, ...]
    limits: tuple[OrganLimit, ...]
    remaining: RemainingMap | None
    break_even: tuple[BreakEven, ...]
    cord: tuple[CordScore, ...]
    hytec: tuple[HytecCheck, ...]
    findings: tuple[Finding, ...]

    def best_of(self, row: BudgetRow, scenario: BudgetScenario) -> BudgetScenario | None:
        """Return a scenario on best estimates; None if there is none."""
        return next(
            (
                item
                for best in self.best_rows
                if (best.structure, best.rule_set) == (row.structure, row.rule_set)
                for item in best.scenarios
                if (item.label, item.limit_eqd2_gy) == (scenario.label, scenario.limit_eqd2_gy)
            ),
            None,
        )

    @property
    def judgement(self) -> Judgement:
        """What a plan of this case is judged on."""
        inputs = self.loaded.inputs
        return Judgement(inputs, self.priors, self.limits, self.masks, self.grid)

    @property
    def n_fractions(self) -> int:
        """Fractions of today's course."""
        return self.loaded.inputs.current.n_fractions_planned or 0

    @property
    def prescription_gy(self) -> float:
        """Highest prescription of today's course."""
        levels = [item.dose_gy for item in self.loaded.inputs.current.prescriptions]
        return max(levels, default=float("nan"))


def budget_case(
    case: Path,
    *,
    level: SpineLevel | None = None,
    registrations: Sequence[Path] = (),
    progress: Progress,
) -> CaseBudget:
    """Work out what a case leaves.

    Parameters
    ----------
    case : Path
        Case folder or file.
    level : SpineLevel or None
        Where along the spine the cord is drawn; None takes what the case says. Unknown, cord rules
        are not applied.
    registrations : sequence of Path
        REG files, rigid or deformable; one that leads from a course's frame to today's is used as
        given.
    progress : callable
        Told what is done.

    Raises
    ------
    CaseError, MissingDataError
        If today's number of fractions or a course's is unknown.
    """
    loaded = with_registrations(load_case(case), registrations)
    loaded, bands = with_bands(_at_level(loaded, level), progress)
    inputs = loaded.inputs
    if not inputs.current.n_fractions_planned:
        msg = f"{loaded.path}: current_course.n_fractions_planned must be known for a budget"
        raise MissingDataError(msg)
    grid = dose_grid_for(
        inputs.image, external_of(inputs.structures), inputs.settings.dose_grid_mm
    )
    masks = rasterize_all(inputs.structures, grid)
    alpha_betas = required_alpha_betas_gy(inputs)
    priors = carry_priors(inputs, grid, alpha_betas, progress)
    rows, limits = make_budget(inputs, priors)
    best_rows = _best_rows(inputs, bands, grid, priors, progress)
    remaining = None
    if limits:
        n = inputs.current.n_fractions_planned
        lacks_course = bool(inputs.courses_without_dose)
        remaining = remaining_map(limits, masks, grid, n_fractions=n, lacks_course=lacks_course)
    cord = cord_rules(inputs, priors)
    body = masks[external_of(inputs.structures).name]
    findings = [
        *inputs.findings,
        *prior_findings(priors, body.on(grid)),
        *spelling_findings(inputs),
        *cord.findings,
        *_findings(inputs, rows),
    ]
    return CaseBudget(
        loaded=loaded,
        grid=grid,
        masks=masks,
        priors=priors,
        rows=rows,
        best_rows=best_rows,
        limits=limits,
        remaining=remaining,
        break_even=_break_even(inputs, priors, rows),
        cord=cord.scores,
        hytec=cord.hytec,
        findings=tuple(findings),
    )


def _at_level(loaded: LoadedCase, level: SpineLevel | None) -> LoadedCase:
    """Return a case with the level along the spine as stated on the command line."""
    if level is None:
        return loaded
    settings = replace(loaded.inputs.settings, spine_level=level)
    return replace(loaded, inputs=replace(loaded.inputs, settings=settings))


def _best_rows(
    inputs: PlanningInputs,
    bands: tuple[DoseBand, ...],
    grid: Grid,
    priors: tuple[PriorCourse, ...],
    progress: Progress,
) -> tuple[BudgetRow, ...]:
    """Return the budget on best estimates; empty if there is none."""
    best = {band.course.name: band.best for band in bands if band.best is not None}
    if not best:
        return ()
    known = {prior.course.name: prior for prior in priors if prior.course.name not in best}
    others = replace(
        inputs,
        priors=tuple(
            replace(item, study=replace(item.study, dose=best[item.course.name]))
            for item in inputs.priors
            if item.course.name in best
        ),
    )
    for prior in carry_priors(others, grid, required_alpha_betas_gy(inputs), progress):
        known[prior.course.name] = prior
    ordered = tuple(known[item.course.name] for item in inputs.priors)
    return make_budget(inputs, ordered)[0]


def _findings(inputs: PlanningInputs, rows: tuple[BudgetRow, ...]) -> list[Finding]:
    """Say where rule sets disagree, and what is missing from the sums."""
    findings = []
    missing = [course.name for course in inputs.courses_without_dose]
    if missing:
        text = (
            f"No dose is on record for {', '.join(missing)}: what remains is unknown for every "
            "organ; ask for the record, or state what was treated (treated_regions)."
        )
        findings.append(Finding(Severity.SERIOUS, "budget-unknown", text))
    levels = [item.dose_gy for item in inputs.current.prescriptions]
    if not levels:
        return findings
    wanted = max(levels)
    for name in dict.fromkeys(row.structure for row in rows):
        fits: dict[str, set[bool]] = {}
        for row in rows:
            if row.structure == name:
                left = [s.remaining_physical_gy for s in row.scenarios]
                answers = {value >= wanted for value in left if np.isfinite(value)}
                fits[row.rule_set] = answers
        every = set().union(*fits.values())
        if len(every) == 2:
            words = "; ".join(f"{key}: {_answer(value)}" for key, value in fits.items())
            text = (
                f"{name}: whether {wanted:g} Gy would fit in full depends on rule set or interval "
                f"({words}). The rule sets are not blended."
            )
            findings.append(Finding(Severity.CAUTION, "rule-sets-disagree", text, name))
    return findings


def _answer(answers: set[bool]) -> str:
    """Return yes, no, by interval or unknown."""
    if len(answers) == 2:
        return "depends on the interval"
    return "unknown" if not answers else "fits" if True in answers else "does not fit"


def _break_even(
    inputs: PlanningInputs, priors: tuple[PriorCourse, ...], rows: tuple[BudgetRow, ...]
) -> tuple[BreakEven, ...]:
    """Return from which interval today's highest prescription fits, for discounted limits."""
    n = inputs.current.n_fractions_planned
    levels = [item.dose_gy for item in inputs.current.prescriptions]
    if not n or not levels or not priors:
        return ()
    wanted, found = max(levels), []
    table = inputs.settings.recovery_table
    for row in rows:
        limit = row.limit
        if limit.recovery_basis is not RecoveryBasis.DISCOUNTED or limit.alpha_beta_gy is None:
            continue
        first = row.scenarios[0]
        prior = first.prior_eqd2_gy / max(1.0 - first.recovery_fraction, 1e-9)
        months: float | None = float("nan")
        if np.isfinite(prior):
            organ = limit_organ(row.structure) or row.structure
            (typed,) = [
                item
                for item in limits_for(
                    organ, row.rule_set, None, level=inputs.settings.spine_level
                )
                if item.metric == limit.metric and item.limit_gy == limit.at_most
            ][:1]
            months = break_even_interval(
                typed,
                table,
                organ,
                prior_eqd2_gy=prior,
                today_eqd2_gy=eqd2(wanted, n, limit.alpha_beta_gy),
            )
        found.append(BreakEven(row.structure, row.rule_set, wanted, months))
    return tuple(found)
