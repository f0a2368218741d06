"""What was written is what was calculated: the plan is read back and compared, point by point."""

from pathlib import Path

import numpy as np

from rerad import dicom
from rerad.core import Beam, Machine, Plan
from rerad.errors import ComputationError

LEAF_TOLERANCE_MM = 1e-3
METERSET_TOLERANCE_MU = 1e-3
WEIGHT_TOLERANCE = 1e-5
"""A tenth of what would change a dose by 0.01 %."""


def require_as_written(plan: Plan, path: Path, machine: Machine) -> None:
    """Raise unless an RTPLAN holds the leaves and monitor units of a plan.

    The dose that is reported was calculated from `plan`; if the file says the same, it is the
    dose of the file.

    Parameters
    ----------
    plan : Plan
        Whose dose was calculated.
    path : Path
        The RTPLAN.
    machine : Machine
        Jaws that it does not have are not in the file, and limit nothing.

    Raises
    ------
    ComputationError
        If a beam differs, with what and by how much.
    """
    written = dicom.read_plan(path)
    if len(written.beams) != len(plan.beams):
        msg = f"{path.name}: {len(written.beams)} beams were written of {len(plan.beams)}"
        raise ComputationError(msg)
    for ours, theirs in zip(plan.beams, written.beams, strict=True):
        _compare(ours, theirs, path.name, has_jaws_x=machine.jaw_x_limits_mm is not None)


def _compare(ours: Beam, theirs: Beam, name: str, *, has_jaws_x: bool) -> None:
    if len(ours.control_points) != len(theirs.control_points):
        msg = (
            f"{name}: beam {ours.geometry.name} has {len(theirs.control_points)} control points, "
            f"its dose was calculated from {len(ours.control_points)}"
        )
        raise ComputationError(msg)
    pairs = list(zip(ours.control_points, theirs.control_points, strict=True))
    leaves = max(
        float(np.abs(a.leaf_positions_mm - b.leaf_positions_mm).max(initial=0.0)) for a, b in pairs
    )
    jaws = max(float(np.abs(np.subtract(a.jaw_y_mm, b.jaw_y_mm)).max()) for a, b in pairs)
    if has_jaws_x:
        along_x = (float(np.abs(np.subtract(a.jaw_x_mm, b.jaw_x_mm)).max()) for a, b in pairs)
        jaws = max(jaws, *along_x)
    weights = max(abs(a.cumulative_weight - b.cumulative_weight) for a, b in pairs)
    meterset = abs(ours.meterset_mu - theirs.meterset_mu)
    for what, size, allowed in (
        ("leaves in mm", leaves, LEAF_TOLERANCE_MM),
        ("jaws in mm", jaws, LEAF_TOLERANCE_MM),
        ("weights", weights, WEIGHT_TOLERANCE),
        ("meterset in MU", meterset, METERSET_TOLERANCE_MU),
    ):
        if size > allowed:
            msg = (
                f"{name}: beam {ours.geometry.name}: {what} differ by {size:.2g} from those that "
                f"the dose was calculated from (allowed {allowed:g}); the file is not written"
            )
            raise ComputationError(msg)
