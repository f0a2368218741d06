"""From open times to leaves, and what closed leaves add meanwhile."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Beam, Finding, Fluence, Plan, Severity
from rerad.dosecalc import PencilBeamOperator, split_fluence
from rerad.optimize import SweepLeakage
from rerad.planning.plan_request import PlanRequest
from rerad.sequencing import (
    SequenceSettings,
    StepAndShootSettings,
    sequence_sliding_window,
    sequence_step_and_shoot,
    sweep_mu_per_mm,
)

SMALLEST_BEAM_MU = 1.0
"""A beam whose brightest beamlet is opened for less than this in a fraction is not worth
delivering; nor is one below what the smallest moving gap gives."""

DARK_SHARE = 0.003
"""Beamlets below this share of a beam's brightest are not opened; leakage is all they get."""

SMOOTHING_MU = 1.0
"""Monitor units of a fraction over which the slowest rows of a beam count together."""


def sequence_settings(request: PlanRequest) -> SequenceSettings:
    """Return how sliding windows are made."""
    return SequenceSettings(dose_rate_mu_min=request.settings.dose_rate_mu_min)


def leakage_of(request: PlanRequest, operator: PencilBeamOperator) -> SweepLeakage | None:
    """Return what closed leaves let through in each beam; None where it is not modelled.

    Step-and-shoot fields leak only while the beam is on, that is for the sum of their segments;
    the least sum is that of the slowest row, which is the same formula without a way to go.
    """
    if not request.settings.is_leakage_modelled:
        return None
    mlc, n_fractions = request.machine.mlc, request.n_fractions
    way = sweep_mu_per_mm(request.machine, sequence_settings(request)) if mlc.is_dynamic else 0.0
    doses = np.empty((len(request.beams), operator.n_points), dtype=np.float32)
    dark = [np.zeros((raster.n_y, raster.n_x)) for raster in operator.rasters]
    for beam, field in enumerate(dark):
        fields = list(dark)
        fields[beam] = np.ones_like(field)
        doses[beam] = operator.forward_rasters(fields)
    return SweepLeakage(
        operator.bixel_grids,
        mlc.transmission,
        way * n_fractions,
        doses,
        SMOOTHING_MU * n_fractions,
    )


def wanted_fluence(
    request: PlanRequest,
    operator: PencilBeamOperator,
    leakage: SweepLeakage | None,
    open_mu: NDArray[np.float64],
) -> tuple[Fluence, ...]:
    """Return what each beam shall give, leakage included, and nothing where nothing is opened."""
    opened = split_fluence(operator.bixel_grids, open_mu)
    given = open_mu if leakage is None else leakage.wanted_mu(open_mu)
    wanted = split_fluence(operator.bixel_grids, given)
    least_mu = least_open_mu(request)
    return tuple(
        replace(all_of, values_mu=np.where(_is_bright(part, least_mu), all_of.values_mu, 0.0))
        for part, all_of in zip(opened, wanted, strict=True)
    )


def least_open_mu(request: PlanRequest) -> float:
    """Return the open time over all fractions that makes a beam worth delivering."""
    mlc, settings = request.machine.mlc, sequence_settings(request)
    gap_mm = mlc.leaf_gap_min_mm + max(mlc.dosimetric_leaf_gap_mm, 0.0)
    crossing = gap_mm * sweep_mu_per_mm(request.machine, settings) if mlc.is_dynamic else 0.0
    return max(SMALLEST_BEAM_MU, crossing) * request.n_fractions


def _is_bright(opened: Fluence, least_mu: float) -> NDArray[np.bool_]:
    values = opened.values_mu
    brightest = float(values.max(initial=0.0))
    return np.asarray((values > DARK_SHARE * brightest) & (brightest >= least_mu))


def sequence(request: PlanRequest, fluences: Sequence[Fluence]) -> tuple[Plan, list[Finding]]:
    """Turn fluences into leaf motions or segments, as the collimator can.

    Beams that are not wanted are left out and named.
    """
    beams: list[Beam] = []
    findings: list[Finding] = []
    for fluence in fluences:
        name = fluence.grid.geometry.name
        if not fluence.values_mu.any():
            text = f"The optimiser has no use for beam {name}; it is not in the plan."
            findings.append(Finding(Severity.NOTE, "beam-not-used", text, name))
            continue
        beams.extend(_beams(request, fluence, len(beams) + 1))
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


def _beams(request: PlanRequest, fluence: Fluence, number: int) -> tuple[Beam, ...]:
    """Return the beams of one direction."""
    if request.machine.mlc.is_dynamic:
        return sequence_sliding_window(
            fluence,
            request.machine,
            n_fractions=request.n_fractions,
            first_beam_number=number,
            settings=sequence_settings(request),
        )
    return sequence_step_and_shoot(
        fluence,
        request.machine,
        n_fractions=request.n_fractions,
        first_beam_number=number,
        settings=StepAndShootSettings(),
    )
