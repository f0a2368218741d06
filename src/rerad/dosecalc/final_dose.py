"""The dose that is reported: from apertures and monitor units, on every voxel of the body.

Two engines on one beam model. The collapsed cone is the default, because it knows that lung is
not thin water; the pencil beam is quicker, and is what the optimiser sees. Dose is dose to water
(see ``docs/methods/density.md``); outside the body it is 0 by definition.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from rerad.core import Dose, Grid, Image, Machine, Plan
from rerad.dosecalc.arcs import static_parts
from rerad.dosecalc.body import body_voxels
from rerad.dosecalc.cone_dose import ConeDoseSettings, cone_beam_dose
from rerad.dosecalc.pencil_dose import PencilDoseSettings, pencil_beam_dose
from rerad.errors import FrameMismatchError, InputError


class Engine(StrEnum):
    """How the final dose is calculated."""

    COLLAPSED_CONE = "collapsed-cone"
    PENCIL_BEAM = "pencil-beam"


@dataclass(frozen=True, slots=True)
class FinalDoseSettings:
    """Engine and numerical settings of the final dose.

    Parameters
    ----------
    engine : Engine
        Collapsed cone, unless something else is wanted.
    max_gantry_step_deg : float
        Arcs are cut into static parts of at most this angle.
    cones : ConeDoseSettings
        Of the collapsed cone.
    pencils : PencilDoseSettings
        Of the pencil beam.
    """

    engine: Engine = Engine.COLLAPSED_CONE
    max_gantry_step_deg: float = 4.0
    cones: ConeDoseSettings = field(default_factory=ConeDoseSettings)
    pencils: PencilDoseSettings = field(default_factory=PencilDoseSettings)


def final_dose(
    plan: Plan,
    machine: Machine,
    density: Image,
    grid: Grid,
    *,
    settings: FinalDoseSettings | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Dose:
    """Calculate the physical dose of all planned fractions of a plan.

    Parameters
    ----------
    plan : Plan
        Static, step-and-shoot, sliding-window or arc beams.
    machine : Machine
        Beam data.
    density : Image
        Mass density in g/cm³, with the couch if it is to attenuate; outside it is vacuum.
    grid : Grid
        Where the dose is wanted, within `density`.
    settings : FinalDoseSettings, optional
        Engine and numbers.
    progress : callable, optional
        Called with the number of directions done and of all.

    Returns
    -------
    Dose
        Dose to water in Gy on `grid`; 0 outside the body (see `body_voxels`).

    Raises
    ------
    FrameMismatchError
        If plan, density and grid are not in one frame.
    InputError
        If the grid reaches beyond `density`, or a beam cannot be calculated.
    """
    chosen = settings or FinalDoseSettings()
    if plan.frame_uid != grid.frame_uid:
        msg = f"plan {plan.label}: isocentres are in frame {plan.frame_uid}, the dose grid in "
        raise FrameMismatchError(msg + f"{grid.frame_uid}; register the two")
    inside = body_voxels(density, grid)
    if not inside.any() or not plan.beams:
        msg = f"plan {plan.label}: expected at least one beam and one voxel of the body on the "
        raise InputError(msg + "dose grid")
    parts = [
        part
        for beam in plan.beams
        for part in static_parts(beam, max_gantry_step_deg=chosen.max_gantry_step_deg)
    ]
    values = np.zeros(grid.shape, dtype=np.float32)
    position = plan.patient_position
    if chosen.engine is Engine.PENCIL_BEAM:
        points_mm = grid.points(np.stack(np.nonzero(inside), axis=-1))
        dose = pencil_beam_dose(
            parts,
            machine,
            density,
            points_mm,
            position,
            settings=chosen.pencils,
            progress=progress,
        )
    else:
        volume = cone_beam_dose(
            parts, machine, density, grid, position, settings=chosen.cones, progress=progress
        )
        dose = volume[inside]
    # Rounding may leave a few parts in 1e7 of the maximum below zero.
    values[inside] = np.maximum(dose, 0.0) * plan.n_fractions_planned
    return Dose(values, grid, label=f"{plan.label}, {plan.n_fractions_planned} fractions")
