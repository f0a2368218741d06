"""A machine in a tank: what it calculates, and how far that is from what was measured.

Depth doses are compared after each is divided by its own largest value, profiles after each is
divided by its value on the axis: shape against shape. Absolute dose enters through the dose per
monitor unit alone, which is calculated.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.case.commission_numbers import (
    comparison_numbers,
    edges,
    gamma_numbers,
    shape_difference,
)
from rerad.case.measured import CurveKind, MeasuredCurve
from rerad.core import Machine
from rerad.core.arrays import frozen_array
from rerad.dosecalc import Engine
from rerad.dosecalc.commission import (
    ProfileAxis,
    WaterTankSetup,
    depth_dose,
    output_factor,
    profile,
    tank_voxels,
    tpr_20_10,
)
from rerad.dosecalc.tank_voxels import TankVoxels
from rerad.errors import CaseError, InputError
from rerad.evaluation.curves import CurveDifference, depth_of_maximum_mm, value_at

DEPTHS_MM = np.arange(0.0, 301.0)
"""Where the depth dose is calculated."""

PROFILE_MARGIN_MM = 50.0
"""How far calculated profiles reach beyond the field edge."""

SAME_MM = 0.5
"""Field sizes and distances that differ by less are the same."""


@dataclass(frozen=True, eq=False, slots=True)
class TankCurve:
    """A calculated curve, beside a measured one or alone.

    Parameters
    ----------
    kind : CurveKind
        Depth dose, crossplane or inplane profile.
    depth_mm : float or None
        Depth of a profile.
    positions_mm : ndarray of shape (N,)
        Ascending.
    dose_gy_per_mu : ndarray of shape (N,)
        Calculated dose to water.
    measured : MeasuredCurve or None
        At the same positions.
    difference : CurveDifference or None
        Calculated less measured, after normalisation.
    numbers : dict of str to float
        What the curve, or the comparison, comes down to; the unit ends each name.
    """

    kind: CurveKind
    depth_mm: float | None
    positions_mm: NDArray[np.float64]
    dose_gy_per_mu: NDArray[np.float64]
    measured: MeasuredCurve | None
    difference: CurveDifference | None
    numbers: dict[str, float]

    def __post_init__(self) -> None:
        for name in ("positions_mm", "dose_gy_per_mu"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))


@dataclass(frozen=True, eq=False, slots=True)
class CommissionResult:
    """What a tank shows of a machine.

    Parameters
    ----------
    machine : Machine
        The machine.
    setup : WaterTankSetup
        Field and tank.
    engine : Engine
        What calculated it.
    curves : tuple of TankCurve
        Depth dose and profiles; beside the measured ones where there are any.
    n_left_out : int
        Measured curves of another field or distance.
    numbers : dict of str to float
        Of the machine in this set-up.
    """

    machine: Machine
    setup: WaterTankSetup
    engine: Engine
    curves: tuple[TankCurve, ...]
    n_left_out: int
    numbers: dict[str, float]


def commission_machine(
    machine: Machine,
    setup: WaterTankSetup,
    *,
    profile_depths_mm: Sequence[float],
    measured: Sequence[MeasuredCurve] = (),
    engine: Engine = Engine.COLLAPSED_CONE,
    progress: Callable[[str, float], None] | None = None,
) -> CommissionResult:
    """Calculate a machine in a tank and compare it with what was measured there.

    Parameters
    ----------
    machine : Machine
        Beam data.
    setup : WaterTankSetup
        Field and tank.
    profile_depths_mm : sequence of float
        Depths of profiles to calculate where nothing is measured; not used otherwise.
    measured : sequence of MeasuredCurve
        Those of this field and distance are compared, at their own positions.
    engine : Engine
        Collapsed cone (one calculation for all curves) unless something else is wanted.
    progress : callable, optional
        Called with what is being done, and the share done.

    Returns
    -------
    CommissionResult

    Raises
    ------
    CaseError
        If curves are given and none is of this field and distance.
    InputError
        If the field, a depth or a position cannot be calculated, or a curve cannot be compared.
    """
    tell = progress or (lambda what, share: None)
    chosen = [curve for curve in measured if _is_of(curve, setup)]
    if measured and not chosen:
        raise CaseError(_nothing_fits(measured, setup))
    curves = []
    wanted = chosen or _wanted(setup, machine, profile_depths_mm)
    voxels = None
    if engine is Engine.COLLAPSED_CONE:
        tell("collapsed cones", 0.0)
        voxels = _voxels_of(machine, setup, wanted)
    field = _Field(machine, setup, voxels)
    tell("numbers", 0.0)
    numbers = _machine_numbers(field, engine)
    for n, curve in enumerate(wanted):
        tell(f"{curve.kind}: {n + 1} of {len(wanted)}", (n + 1) / (len(wanted) + 1))
        try:
            curves.append(_tank_curve(field, curve, is_measured=bool(chosen)))
        except InputError as error:
            depth = "" if curve.depth_mm is None else f" at {curve.depth_mm:g} mm"
            msg = f"{curve.kind}{depth}: {error}"
            raise InputError(msg) from error
    n_left_out = len(measured) - len(chosen)
    return CommissionResult(machine, setup, engine, tuple(curves), n_left_out, numbers)


@dataclass(frozen=True, eq=False, slots=True)
class _Field:
    """A field on the tank, and its voxels if collapsed cones calculate it."""

    machine: Machine
    setup: WaterTankSetup
    voxels: TankVoxels | None


def _voxels_of(
    machine: Machine, setup: WaterTankSetup, wanted: Sequence[MeasuredCurve]
) -> TankVoxels:
    """One calculation that reaches every point of every curve."""
    profiles = [curve for curve in wanted if curve.depth_mm is not None]
    deepest = [float(c.positions_mm[-1]) for c in wanted if c.depth_mm is None]
    deepest += [float(curve.depth_mm or 0.0) for curve in profiles]
    return tank_voxels(
        machine,
        setup,
        depth_mm=max([*deepest, float(DEPTHS_MM[-1])]),
        half_width_mm=max((float(np.abs(c.positions_mm).max()) for c in profiles), default=0.0),
    )


def _is_of(curve: MeasuredCurve, setup: WaterTankSetup) -> bool:
    """Whether a curve was measured in this field at this distance."""
    ours = (setup.field_x_mm, setup.field_y_mm, setup.ssd_mm)
    theirs = (curve.field_crossplane_mm, curve.field_inplane_mm, curve.ssd_mm)
    return all(abs(a - b) < SAME_MM for a, b in zip(ours, theirs, strict=True))


def _nothing_fits(measured: Sequence[MeasuredCurve], setup: WaterTankSetup) -> str:
    """Say what the file holds instead."""
    held = sorted(
        {f"{c.field_crossplane_mm:g}x{c.field_inplane_mm:g} at {c.ssd_mm:g}" for c in measured}
    )
    return (
        f"expected a measured curve of the field {setup.field_x_mm:g}x{setup.field_y_mm:g} mm at "
        f"SSD {setup.ssd_mm:g} mm, got {', '.join(held)}; ask for one of these"
    )


def _wanted(
    setup: WaterTankSetup, machine: Machine, depths_mm: Sequence[float]
) -> list[MeasuredCurve]:
    """The curves to calculate where nothing is measured, with values that nobody reads."""
    blank = MeasuredCurve(
        kind=CurveKind.DEPTH_DOSE,
        field_crossplane_mm=setup.field_x_mm,
        field_inplane_mm=setup.field_y_mm,
        ssd_mm=setup.ssd_mm,
        depth_mm=None,
        positions_mm=DEPTHS_MM,
        values=np.zeros_like(DEPTHS_MM),
    )
    curves = [blank]
    for depth in depths_mm:
        magnification = (setup.ssd_mm + depth) / machine.sad_mm
        sides = {CurveKind.CROSSPLANE: setup.field_x_mm, CurveKind.INPLANE: setup.field_y_mm}
        for kind, side in sides.items():
            end = np.ceil(0.5 * side * magnification + PROFILE_MARGIN_MM)
            positions = np.arange(-end, end + 1.0)
            curves.append(
                replace(
                    blank,
                    kind=kind,
                    depth_mm=float(depth),
                    positions_mm=positions,
                    values=np.zeros_like(positions),
                )
            )
    return curves


def _machine_numbers(field: _Field, engine: Engine) -> dict[str, float]:
    """What this field comes down to, whatever was measured."""
    machine, setup = field.machine, field.setup
    reference = machine.reference
    dose = depth_dose(machine, setup, DEPTHS_MM, voxels=field.voxels)
    top = float(dose.max())
    return {
        "depth_of_maximum_mm": depth_of_maximum_mm(DEPTHS_MM, dose),
        "dose_at_maximum_gy_per_mu": top,
        "dose_at_reference_depth_gy_per_mu": value_at(DEPTHS_MM, dose, reference.depth_mm),
        **{f"depth_dose_{d}_mm_percent": 100.0 * float(dose[d]) / top for d in (50, 100, 200)},
        "output_factor": output_factor(
            machine,
            setup,
            depth_mm=reference.depth_mm,
            reference_field_mm=reference.field_mm,
            engine=engine,
        ),
        "tpr_20_10": tpr_20_10(machine, engine=engine),
    }


def _tank_curve(field: _Field, curve: MeasuredCurve, *, is_measured: bool) -> TankCurve:
    """Calculate one curve and compare it if it was measured."""
    machine, setup, voxels = field.machine, field.setup, field.voxels
    if curve.depth_mm is None:
        # Some scans start above the water.
        in_water = curve.positions_mm >= 0
        curve = replace(
            curve, positions_mm=curve.positions_mm[in_water], values=curve.values[in_water]
        )
        dose = depth_dose(machine, setup, curve.positions_mm, voxels=voxels)
        numbers = {"depth_of_maximum_mm": depth_of_maximum_mm(curve.positions_mm, dose)}
    else:
        axis = ProfileAxis(str(curve.kind))
        positions = curve.positions_mm
        dose = profile(machine, setup, curve.depth_mm, positions, axis, voxels=voxels)
        numbers = edges(curve.positions_mm, dose, "")
    difference = None
    if is_measured:
        difference = shape_difference(curve, dose)
        numbers |= comparison_numbers(curve, difference)
        numbers |= gamma_numbers(curve, dose)
    return TankCurve(
        kind=curve.kind,
        depth_mm=curve.depth_mm,
        positions_mm=curve.positions_mm,
        dose_gy_per_mu=dose,
        measured=curve if is_measured else None,
        difference=difference,
        numbers=numbers,
    )
