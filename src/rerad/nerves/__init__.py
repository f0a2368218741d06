"""Nerves on CT, PET and MR: centre lines, straight views, diameters, uptake, comparison."""

from rerad.nerves.bone_points import BONE_POINTS, proposal_findings, propose_paths
from rerad.nerves.caliber import (
    CaliberProfile,
    CaliberSettings,
    fill_from_contours,
    measure_caliber,
)
from rerad.nerves.compare import (
    Measured,
    NerveComparison,
    NerveMeasurement,
    NormalRoot,
    RuleOutcome,
    Verdict,
    compare_sides,
    normal_root,
)
from rerad.nerves.path import (
    TrackSettings,
    join_paths,
    meeting_findings,
    outward,
    path_from_points,
    path_from_structure,
    track_path,
)
from rerad.nerves.straighten import PathFrames, StraightImage, frames_along, straighten
from rerad.nerves.tube_model import Resolution
from rerad.nerves.uptake import (
    ReferenceUptake,
    UptakeProfile,
    UptakeSettings,
    measure_uptake,
    reference_uptake,
)

__all__ = [
    "BONE_POINTS",
    "CaliberProfile",
    "CaliberSettings",
    "Measured",
    "NerveComparison",
    "NerveMeasurement",
    "NormalRoot",
    "PathFrames",
    "ReferenceUptake",
    "Resolution",
    "RuleOutcome",
    "StraightImage",
    "TrackSettings",
    "UptakeProfile",
    "UptakeSettings",
    "Verdict",
    "compare_sides",
    "fill_from_contours",
    "frames_along",
    "join_paths",
    "measure_caliber",
    "measure_uptake",
    "meeting_findings",
    "normal_root",
    "outward",
    "path_from_points",
    "path_from_structure",
    "proposal_findings",
    "propose_paths",
    "reference_uptake",
    "straighten",
    "track_path",
]
