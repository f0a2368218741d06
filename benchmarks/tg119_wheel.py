"""The TG-119 C-shape that ships in the wheel of pyRadPlan 0.5.0, as a case of `bench_tg119.py`.

Nothing of the phantom is kept here: the peer's own Python reads it out
(`benchmarks/peers/pyradplan_tg119.py --phantom-only`). Its structures are voxel masks; contours
are drawn round the voxels (`rerad.structures.contours_from_mask`), and from there on the case is
like any other. Contours cut the corners of the voxels, so `voxel_masks` gives the masks too, for
whoever reads a DVH at voxel centres as the peer does.
"""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rerad.core import Grid, Image, ImageUnit, Mask, Modality, Prescription, StructureSet
from rerad.core import StructureKind as Kind
from rerad.phantoms import Tg119Case
from rerad.structures import contours_from_mask

PEER_SCRIPT = Path(__file__).parent / "peers" / "pyradplan_tg119.py"
STRUCTURES = {
    "BODY": ("Body", Kind.EXTERNAL),
    "OuterTarget": ("PTV_5000", Kind.PTV),
    "Core": ("Core", Kind.OAR),
}
"""The wheel's names, and what they are called and are in rerad."""


@dataclass(frozen=True, eq=False, slots=True)
class WheelCase:
    """The phantom of the wheel.

    Parameters
    ----------
    case : Tg119Case
        Image, contours, 50 Gy to the target.
    voxel_masks : dict of str to Mask
        The masks that the contours were drawn round.
    isocenter_mm : tuple of float
        On the axis of the core, at half the length of the target.
    """

    case: Tg119Case
    voxel_masks: dict[str, Mask]
    isocenter_mm: tuple[float, float, float]


def read_out(python: Path) -> dict[str, np.ndarray]:
    """Let the peer's Python read its phantom.

    Raises
    ------
    RuntimeError
        If it cannot.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [str(python), str(PEER_SCRIPT), "--phantom-only", "--out", folder]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            msg = f"{python} could not read the phantom of pyRadPlan:\n{done.stderr[-2000:]}"
            raise RuntimeError(msg)
        with np.load(Path(folder) / "phantom.npz") as phantom:
            return dict(phantom)


def wheel_case(phantom: dict[str, np.ndarray], frame_uid: str) -> WheelCase:
    """Make a case of CT and masks.

    Parameters
    ----------
    phantom : dict of str to ndarray
        ``hu`` and ``mask_NAME`` of shape (K, J, I), ``origin_mm`` and ``spacing_mm`` (x, y, z).
    frame_uid : str
        Frame of reference of image and structures.
    """
    hu = phantom["hu"]
    origin, spacing = (
        tuple(float(v) for v in phantom[name]) for name in ("origin_mm", "spacing_mm")
    )
    grid = Grid(hu.shape, origin, spacing, frame_uid)
    drawn, masks = [], {}
    for theirs, (name, kind) in STRUCTURES.items():
        inside = phantom[f"mask_{theirs}"]
        drawn.append(contours_from_mask(inside, grid, name=name, kind=kind))
        masks[name] = Mask(name, kind, inside.astype(np.float32), grid)
    name = "TG-119 C-shape of the wheel"
    case = Tg119Case(
        name,
        Image(hu, grid, Modality.CT, ImageUnit.HU, description="phantom of pyRadPlan 0.5.0"),
        StructureSet(name, tuple(drawn)),
        (Prescription("PTV_5000", 50.0),),
    )
    x_mm, y_mm, _ = middle_mm(phantom["mask_Core"], grid)
    return WheelCase(case, masks, (x_mm, y_mm, middle_mm(phantom["mask_OuterTarget"], grid)[2]))


def middle_mm(inside: np.ndarray, grid: Grid) -> tuple[float, float, float]:
    """Return the middle of the box round a mask, (x, y, z)."""
    where = np.argwhere(inside)
    k, j, i = 0.5 * (where.min(axis=0) + where.max(axis=0))
    x, y, z = (
        float(start + step * number)
        for start, step, number in zip(grid.origin_mm, grid.spacing_mm, (i, j, k), strict=True)
    )
    return x, y, z
