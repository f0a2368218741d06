"""Dose in a water tank or a layered slab, the way a physicist measures a beam.

The tank is a stack of layers below a flat surface, wide enough that no side is ever seen, and
water below the last layer. The gantry stands at 0 degrees, the isocentre on the axis at the
machine's SAD, jaws shape the field and the leaves are parked behind them; a machine without jaws
along x shapes it with its leaves there. Crossplane is IEC 61217 beam-limiting-device x (along the
leaves' motion), inplane is y (from gun to target). Two engines: pencil beams at the points
themselves, and collapsed cones on voxels (`tank_voxels`), which know what a slab does. No detector
is modelled: doses are at points.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    Grid,
    Image,
    ImageUnit,
    Machine,
    Modality,
    PatientPosition,
)
from rerad.dosecalc.final_dose import Engine
from rerad.dosecalc.pencil_dose import beam_dose
from rerad.dosecalc.tank_voxels import (
    ACROSS_MM,
    WIDE_ACROSS_MM,
    WIDE_FIELD_MM,
    TankVoxels,
    calculate_tank_voxels,
    voxel_depth_dose,
    voxel_profile,
)
from rerad.errors import InputError

TANK_FRAME_UID = "2.25.97340225418327411046"
"""Frame of reference of the tank, which never leaves this file."""

TANK_WIDTH_MM = 4000.0
"""Width of the tank: no ray of any field leaves it through a side."""

LAYER_STEP_MM = 1.0
"""Voxel height of the tank; a voxel that two layers share has their mean density, so that the
radiological depth below it is exact."""

LEAF_PARK_MM = 20.0
"""How far behind the jaws the leaves are parked."""


class ProfileAxis(StrEnum):
    """Direction of a profile in beam-limiting-device axes at collimator 0."""

    CROSSPLANE = "crossplane"
    INPLANE = "inplane"


@dataclass(frozen=True, slots=True)
class SlabLayer:
    """One layer of a slab phantom.

    Parameters
    ----------
    thickness_mm : float
        Above 0.
    density_g_cm3 : float
        Mass density, 0 or more; the material is water of that density.
    """

    thickness_mm: float
    density_g_cm3: float

    def __post_init__(self) -> None:
        if not 0 < self.thickness_mm < np.inf or not 0 <= self.density_g_cm3 < np.inf:
            msg = (
                "expected a layer thicker than 0 mm with a density of 0 g/cm3 or more, got "
                f"{self.thickness_mm} mm and {self.density_g_cm3} g/cm3"
            )
            raise InputError(msg)


@dataclass(frozen=True, slots=True)
class WaterTankSetup:
    """An open rectangular field on a tank.

    Parameters
    ----------
    field_x_mm, field_y_mm : float
        Sides of the field at the isocentre plane, crossplane and inplane; centred on the axis.
    ssd_mm : float
        From source to surface.
    slabs : tuple of SlabLayer
        Layers from the surface down, with water below them; none means water.
    """

    field_x_mm: float
    field_y_mm: float
    ssd_mm: float
    slabs: tuple[SlabLayer, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "slabs", tuple(self.slabs))
        sizes = (self.field_x_mm, self.field_y_mm, self.ssd_mm)
        if not all(0 < size < np.inf for size in sizes):
            msg = (
                "expected a field and a source-surface distance above 0 mm, got "
                f"{self.field_x_mm} x {self.field_y_mm} mm at {self.ssd_mm} mm"
            )
            raise InputError(msg)


def tank_voxels(
    machine: Machine, setup: WaterTankSetup, *, depth_mm: float, half_width_mm: float
) -> TankVoxels:
    """Calculate a field on the tank by collapsed cones, for `depth_dose` and `profile`.

    Parameters
    ----------
    machine : Machine
        Beam data.
    setup : WaterTankSetup
        Field and tank.
    depth_mm, half_width_mm : float
        Deepest point, and farthest from the axis, that will be asked for.

    Returns
    -------
    TankVoxels

    Raises
    ------
    InputError
        If the field does not fit the collimator.
    """
    side = max(setup.field_x_mm, setup.field_y_mm)
    edge = 0.5 * side * (setup.ssd_mm + depth_mm)
    density = tank_density(machine, setup, depth_mm + 200.0)
    return calculate_tank_voxels(
        _open_beam(machine, setup),
        machine,
        density,
        depth_mm=depth_mm,
        half_width_mm=max(half_width_mm, edge / machine.sad_mm),
        across_mm=WIDE_ACROSS_MM if side > WIDE_FIELD_MM else ACROSS_MM,
    )


def depth_dose(
    machine: Machine,
    setup: WaterTankSetup,
    depths_mm: NDArray[np.float64],
    *,
    voxels: TankVoxels | None = None,
) -> NDArray[np.float64]:
    """Calculate the dose on the beam axis.

    Parameters
    ----------
    machine : Machine
        Beam data.
    setup : WaterTankSetup
        Field and tank.
    depths_mm : ndarray of shape (N,)
        Depths below the surface, 0 or more.
    voxels : TankVoxels, optional
        The field by collapsed cones; by pencil beams if not given.

    Returns
    -------
    ndarray of shape (N,)
        Dose to water in Gy per MU.

    Raises
    ------
    InputError
        If a depth is negative or not finite, the field does not fit the jaws, or a point is too
        near to or too far from the source for the kernels.
    """
    depths = np.asarray(depths_mm, dtype=np.float64)
    if voxels is not None:
        return voxel_depth_dose(voxels, depths)
    return _dose_at(machine, setup, np.zeros_like(depths), depths, np.zeros_like(depths))


def profile(
    machine: Machine,
    setup: WaterTankSetup,
    depth_mm: float,
    positions_mm: NDArray[np.float64],
    axis: ProfileAxis,
    *,
    voxels: TankVoxels | None = None,
) -> NDArray[np.float64]:
    """Calculate the dose across the beam at one depth.

    Parameters
    ----------
    machine : Machine
        Beam data.
    setup : WaterTankSetup
        Field and tank.
    depth_mm : float
        Depth below the surface, 0 or more.
    positions_mm : ndarray of shape (N,)
        Distances from the beam axis, measured at that depth.
    axis : ProfileAxis
        Along which axis.
    voxels : TankVoxels, optional
        As in `depth_dose`.

    Returns
    -------
    ndarray of shape (N,)
        Dose to water in Gy per MU.

    Raises
    ------
    InputError
        As `depth_dose` does.
    """
    positions = np.asarray(positions_mm, dtype=np.float64)
    if voxels is not None:
        is_crossplane = axis is ProfileAxis.CROSSPLANE
        return voxel_profile(voxels, depth_mm, positions, is_crossplane=is_crossplane)
    depths, zero = np.full_like(positions, depth_mm), np.zeros_like(positions)
    if axis is ProfileAxis.CROSSPLANE:
        return _dose_at(machine, setup, positions, depths, zero)
    return _dose_at(machine, setup, zero, depths, positions)


def axis_dose(
    machine: Machine, setup: WaterTankSetup, depth_mm: float, *, engine: Engine
) -> float:
    """Calculate the dose at one point of the axis.

    Parameters
    ----------
    machine : Machine
        Beam data.
    setup : WaterTankSetup
        Field and tank.
    depth_mm : float
        Depth of the point.
    engine : Engine
        Which engine.

    Returns
    -------
    float
        Gy per MU; under the reference condition what the machine's file says, by definition.
    """
    reference = machine.reference
    here = (setup.field_x_mm, setup.field_y_mm, setup.ssd_mm, depth_mm)
    theirs = (reference.field_mm, reference.field_mm, reference.ssd_mm, reference.depth_mm)
    if not setup.slabs and np.allclose(here, theirs):
        return reference.dose_per_mu_gy
    voxels = None
    if engine is Engine.COLLAPSED_CONE:
        voxels = tank_voxels(machine, setup, depth_mm=depth_mm, half_width_mm=0.0)
    return float(depth_dose(machine, setup, np.array([depth_mm]), voxels=voxels)[0])


def output_factor(
    machine: Machine,
    setup: WaterTankSetup,
    *,
    depth_mm: float,
    reference_field_mm: float,
    engine: Engine = Engine.PENCIL_BEAM,
) -> float:
    """Return the dose per MU of a field over that of a square reference field.

    Parameters
    ----------
    machine : Machine
        Beam data.
    setup : WaterTankSetup
        The field; the reference field has the same surface distance and layers.
    depth_mm : float
        Depth on the axis.
    reference_field_mm : float
        Side of the reference field at the isocentre plane.
    engine : Engine
        Which engine.

    Returns
    -------
    float
        The ratio, head scatter included.
    """
    square = replace(setup, field_x_mm=reference_field_mm, field_y_mm=reference_field_mm)
    dose = axis_dose(machine, setup, depth_mm, engine=engine)
    return dose / axis_dose(machine, square, depth_mm, engine=engine)


def tpr_20_10(machine: Machine, *, engine: Engine = Engine.PENCIL_BEAM) -> float:
    r"""Return the beam quality index :math:`\mathrm{TPR}_{20,10}`.

    Dose at 200 mm over dose at 100 mm depth, both at the isocentre in a 100 mm square field.

    Parameters
    ----------
    machine : Machine
        Beam data.
    engine : Engine
        Which engine.

    Returns
    -------
    float
        The ratio.

    References
    ----------
    .. [1] IAEA, Technical Reports Series 398, Absorbed Dose Determination in External Beam
       Radiotherapy (2000), section 6.3: the definition.
    """
    deep, shallow = (
        axis_dose(
            machine, WaterTankSetup(100.0, 100.0, machine.sad_mm - depth), depth, engine=engine
        )
        for depth in (200.0, 100.0)
    )
    return deep / shallow


def tank_density(machine: Machine, setup: WaterTankSetup, depth_mm: float) -> Image:
    """Return the tank as an image of mass density.

    Parameters
    ----------
    machine : Machine
        For the SAD: the isocentre is the origin.
    setup : WaterTankSetup
        Surface and layers.
    depth_mm : float
        How deep the image has to reach.

    Returns
    -------
    Image
        One voxel wide; the beam enters along +y (gantry 0, head first supine).
    """
    n = int(np.ceil(depth_mm / LAYER_STEP_MM)) + 10
    faces = LAYER_STEP_MM * np.arange(n + 1)
    edges = np.concatenate([[0.0], np.cumsum([slab.thickness_mm for slab in setup.slabs])])
    mass = np.concatenate(
        [[0.0], np.cumsum([slab.thickness_mm * slab.density_g_cm3 for slab in setup.slabs])]
    )
    # Cumulative mass at the voxel faces; below the layers it grows as that of water.
    passed = np.interp(faces, edges, mass) + np.maximum(faces - edges[-1], 0.0)
    values = (np.diff(passed) / LAYER_STEP_MM).astype(np.float32).reshape(1, n, 1)
    surface = setup.ssd_mm - machine.sad_mm
    grid = Grid(
        values.shape,
        (0.0, surface + 0.5 * LAYER_STEP_MM, 0.0),
        (TANK_WIDTH_MM, LAYER_STEP_MM, TANK_WIDTH_MM),
        TANK_FRAME_UID,
    )
    return Image(values, grid, Modality.CT, ImageUnit.DENSITY)


def _open_beam(machine: Machine, setup: WaterTankSetup) -> Beam:
    """Jaws at the field's sides and leaves parked behind them, or leaves where jaws are not."""
    half_x, half_y = 0.5 * setup.field_x_mm, 0.5 * setup.field_y_mm
    limits = (machine.field_x_limits_mm, machine.jaw_y_limits_mm)
    for half, (low, high) in zip((half_x, half_y), limits, strict=True):
        if -half < low or half > high:
            msg = (
                f"expected a field within the jaws of {machine.name} ({low:g} to {high:g} mm), "
                f"got {2 * half:g} mm; ask for a smaller field"
            )
            raise InputError(msg)
    if machine.jaw_x_limits_mm is None:
        tip, jaw_x = half_x, machine.field_x_limits_mm
    else:
        tip, jaw_x = half_x + LEAF_PARK_MM, (-half_x, half_x)
    leaves = np.tile([[-tip], [tip]], (1, machine.mlc.n_leaf_pairs))
    points = tuple(ControlPoint(w, jaw_x, (-half_y, half_y), leaves) for w in (0.0, 1.0))
    return Beam(1, BeamGeometry("tank", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0)), points, 1.0)


def _dose_at(
    machine: Machine,
    setup: WaterTankSetup,
    x_mm: NDArray[np.float64],
    depth_mm: NDArray[np.float64],
    y_mm: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Dose in Gy per MU at crossplane x, depth and inplane y."""
    is_valid = np.isfinite(x_mm) & np.isfinite(y_mm) & np.isfinite(depth_mm) & (depth_mm >= 0)
    if x_mm.ndim != 1 or len(x_mm) == 0 or not is_valid.all():
        msg = "expected at least one point of the tank, with finite positions and depths >= 0 mm"
        raise InputError(msg)
    # Gantry 0, collimator 0, head first supine: crossplane is patient x, inplane patient z.
    surface = setup.ssd_mm - machine.sad_mm
    points = np.stack([x_mm, surface + depth_mm, y_mm], axis=-1)
    density = tank_density(machine, setup, float(depth_mm.max()))
    beam = _open_beam(machine, setup)
    return beam_dose(beam, machine, density, points, PatientPosition.HFS)
