"""How far a plan has come: enough to go on from there as if it had never stopped."""

from dataclasses import dataclass, field, replace

from rerad.errors import InputError
from rerad.optimize import Level, LevelOutcome, Multipliers, Problem, Solution, ValueCap
from rerad.optimize.terms import Floats
from rerad.planning.result import PassAgreement


@dataclass(frozen=True, eq=False, slots=True)
class PassRecord:
    """What the optimiser found in a finished pass, beside open times and multipliers of caps.

    With it a plan that stopped after its last pass needs no new optimisation.

    Parameters
    ----------
    dose_gy : ndarray of shape (n_points,)
        That it saw, background included; with set-up shifts at the points of all scenarios.
    objective : float
        Sum of all objectives.
    term_values : dict of str to float
        Each of them.
    status : str
        Why it stopped.
    is_converged : bool
        Whether that was by its criterion.
    n_evaluations : int
        Of this pass.
    n_evaluations_so_far : int
        Of this pass and those before it.
    violations : tuple of two float
        Largest excess over a cap in Gy, and over a bound of a sum as a share of it.
    sum_values : tuple of float
        Multipliers of bounds on sums: those of the problem, then those of the levels.
    sum_stiffness : float
        Theirs.
    history : tuple of (int, float)
        Evaluations and what was minimised.
    levels : tuple of LevelOutcome
        What came of each level of priority.
    """

    dose_gy: Floats
    objective: float
    term_values: dict[str, float]
    status: str
    is_converged: bool
    n_evaluations: int
    n_evaluations_so_far: int
    violations: tuple[float, float]
    sum_values: tuple[float, ...]
    sum_stiffness: float
    history: tuple[tuple[int, float], ...]
    levels: tuple[LevelOutcome, ...]

    @classmethod
    def of(
        cls, solution: Solution, levels: tuple[LevelOutcome, ...], n_evaluations_before: int
    ) -> "PassRecord":
        """Return the record of a pass.

        Parameters
        ----------
        solution : Solution
            Of its last level.
        levels : tuple of LevelOutcome
            Of the levels before.
        n_evaluations_before : int
            Of the passes before.
        """
        held = solution.multipliers
        n_levels = sum(level.n_evaluations for level in levels)
        return cls(
            dose_gy=solution.dose_gy,
            objective=solution.objective,
            term_values=dict(solution.term_values),
            status=solution.status,
            is_converged=bool(solution.is_converged),
            n_evaluations=solution.n_evaluations,
            n_evaluations_so_far=n_evaluations_before + n_levels + solution.n_evaluations,
            violations=(solution.cap_violation_gy, solution.sum_violation),
            sum_values=() if held is None else held.sum_values,
            sum_stiffness=1.0 if held is None else held.sum_stiffness,
            history=solution.history,
            levels=levels,
        )


@dataclass(frozen=True, eq=False, slots=True)
class PlanState:
    """How far a plan has come, enough to go on from there.

    Parameters
    ----------
    n_passes_done : int
        Correction passes that are complete.
    fluence_mu : ndarray of shape (n_beamlets,)
        Open times over all fractions.
    background_gy : ndarray of shape (n_points,)
        Final dose less that of the operator, from the last complete pass; zeros before.
    multipliers : tuple of ndarray
        Of the hard caps, in their order.
    stiffness : float
        Of the caps; 0 if there are no multipliers yet.
    agreement : tuple of PassAgreement
        Of the complete passes.
    record : PassRecord or None
        Of the last complete pass.
    robust : PlanState or None
        Of the robust passes, which begin when all others are complete: their own count, open
        times, background (at the points without shift) and multipliers (in every scenario).
    """

    n_passes_done: int
    fluence_mu: Floats
    background_gy: Floats
    multipliers: tuple[Floats, ...]
    stiffness: float
    agreement: tuple[PassAgreement, ...] = ()
    record: PassRecord | None = field(default=None, repr=False)
    robust: "PlanState | None" = field(default=None, repr=False)

    @property
    def n_evaluations(self) -> int:
        """Evaluations of all complete passes that are on record."""
        return 0 if self.record is None else self.record.n_evaluations_so_far

    @property
    def latest(self) -> "PlanState":
        """That of the robust passes if they have begun, else this one."""
        return self if self.robust is None else self.robust

    def held(self, problem: Problem) -> Multipliers | None:
        """Return the multipliers of caps to begin a solve with; None if there are none yet."""
        if not self.multipliers:
            return None
        return Multipliers(problem.caps, self.multipliers, self.stiffness)

    def after_pass(
        self,
        solution: Solution,
        levels: tuple[LevelOutcome, ...],
        seen: PassAgreement,
        background_gy: Floats,
    ) -> "PlanState":
        """Return the state after one more pass.

        Parameters
        ----------
        solution : Solution
            What the pass found.
        levels : tuple of LevelOutcome
            What came of its levels.
        seen : PassAgreement
            How far its dose was from the final one.
        background_gy : ndarray of shape (n_points,)
            Final dose less that of the operator.
        """
        held = solution.multipliers
        return replace(
            self,
            n_passes_done=self.n_passes_done + 1,
            fluence_mu=solution.fluence_mu,
            background_gy=background_gy,
            multipliers=() if held is None else held.values,
            stiffness=0.0 if held is None else held.stiffness,
            agreement=(*self.agreement, seen),
            record=PassRecord.of(solution, levels, self.n_evaluations),
        )

    def solution_of(self, problem: Problem, levels: tuple[Level, ...]) -> Solution:
        """Return what the last complete pass found, as its solve returned it.

        Parameters
        ----------
        problem : Problem
            That was solved.
        levels : tuple of Level
            Its levels of priority.

        Raises
        ------
        InputError
            If there is no record of it, or it is of another problem.
        """
        record = self.record
        if record is None:
            msg = "the state to go on from does not hold its last pass; start anew"
            raise InputError(msg)
        outcomes = zip(levels, record.levels, strict=False)
        bounds = [ValueCap(f"level {a.name}", a.terms, b.bound) for a, b in outcomes]
        sums = (*problem.value_caps, *bounds)
        fits = len(record.dose_gy) == problem.operator.n_points
        if not fits or len(record.levels) != len(levels) or len(sums) < len(record.sum_values):
            msg = "the state to go on from is of another plan; start anew"
            raise InputError(msg)
        multipliers = self.held(problem)
        if record.sum_values:
            sum_values = (sums, record.sum_values, record.sum_stiffness)
            multipliers = Multipliers(problem.caps, self.multipliers, self.stiffness, *sum_values)
        return Solution(
            fluence_mu=self.fluence_mu,
            dose_gy=record.dose_gy,
            objective=record.objective,
            term_values=record.term_values,
            n_evaluations=record.n_evaluations,
            seconds=0.0,
            is_converged=record.is_converged,
            status=record.status,
            cap_violation_gy=record.violations[0],
            sum_violation=record.violations[1],
            cap_multipliers=dict(
                zip([cap.name for cap in problem.caps], self.multipliers, strict=False)
            ),
            history=record.history,
            multipliers=multipliers,
        )
