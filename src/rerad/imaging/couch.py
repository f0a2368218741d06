"""The couch in the density: as the CT saw it, as drawn, or as a flat stack of layers.

Densities of couches are those of the water that attenuates alike, as a transmission measurement
gives them. Beams see the couch; dose in it is nobody's, so it is no part of the body.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rerad.core import Grid, Image, Mask, PatientPosition
from rerad.errors import InputError, MissingDataError
from rerad.imaging.overrides import DENSEST_G_CM3
from rerad.tables import load_table

CLOTH_G_CM3 = 0.05
"""As imaged, what is thinner than this counts as air: noise of the CT, cloth, cushions' air."""


class CouchSource(StrEnum):
    """Where the couch comes from."""

    NONE = "none"
    AS_IMAGED = "as_imaged"
    STRUCTURES = "structures"
    PANEL = "panel"


@dataclass(frozen=True, slots=True)
class CouchStructure:
    """A drawn part of the couch, for example CouchSurface or CouchInterior.

    Parameters
    ----------
    structure : str
        Name in the structure set.
    density_g_cm3 : float
        Of the water that attenuates alike.
    """

    structure: str
    density_g_cm3: float

    def __post_init__(self) -> None:
        _require_density(self.structure, self.density_g_cm3)


@dataclass(frozen=True, slots=True)
class CouchPanel:
    """A couch top as a flat stack of layers, endless along the patient.

    Parameters
    ----------
    name : str
        What to call it.
    layers : tuple of (float, float)
        Thickness in mm and density in g/cm³ of the water that attenuates alike, from the patient
        downwards.
    width_mm : float
        Across the patient.
    top_y_mm : float
        Patient y of the surface that the patient lies on.
    center_x_mm : float
        Patient x of its middle.
    source : str
        Where the numbers come from.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    name: str
    layers: tuple[tuple[float, float], ...]
    width_mm: float
    top_y_mm: float
    center_x_mm: float
    source: str

    def __post_init__(self) -> None:
        for thickness_mm, density_g_cm3 in self.layers:
            _require_density(self.name, density_g_cm3)
            if not 0 < thickness_mm < np.inf:
                msg = f"couch {self.name}: expected layers thicker than 0 mm, got {thickness_mm}"
                raise InputError(msg)
        if not self.layers or not 0 < self.width_mm < np.inf:
            msg = f"couch {self.name}: expected at least one layer and a width above 0 mm"
            raise InputError(msg)

    @property
    def thickness_mm(self) -> float:
        """Thickness of all layers."""
        return sum(thickness for thickness, _ in self.layers)

    @property
    def water_mm(self) -> float:
        """Thickness of the water that attenuates a perpendicular beam alike."""
        return sum(thickness * density for thickness, density in self.layers)

    def y_range_mm(self, position: PatientPosition) -> tuple[float, float]:
        """Return lowest and highest patient y: the couch is behind a supine patient."""
        far = self.top_y_mm + _downwards(position) * self.thickness_mm
        return min(self.top_y_mm, far), max(self.top_y_mm, far)


def load_couch_layers(model: str) -> tuple[tuple[tuple[float, float], ...], float, str]:
    """Load layers, width in mm and source of a couch of ``tables/couches.toml``.

    Raises
    ------
    MissingDataError
        If there is no such couch.
    """
    table = load_table("couches")
    if model not in table:
        msg = f"couch model {model!r} is not in couches.toml; it holds {', '.join(table)}"
        raise MissingDataError(msg)
    row = table[model]
    layers = tuple((float(thickness), float(density)) for thickness, density in row["layers"])
    return layers, float(row["width_mm"]), f"{row['citation']} [{row['trust']}]"


def enlarged(
    grid: Grid, low_mm: tuple[float, float, float], high_mm: tuple[float, float, float]
) -> Grid:
    """Return a grid with whole voxels added until it holds a box; `grid` is a crop of it.

    Parameters
    ----------
    grid : Grid
        To be enlarged.
    low_mm, high_mm : tuple of float
        ``(x, y, z)`` corners of the box; infinite where nothing is asked.
    """
    # Voxel n reaches from n - 0.5 to n + 0.5; a face that is only touched needs no voxel.
    spacing, origin = np.asarray(grid.spacing_mm), np.asarray(grid.origin_mm)
    n = np.asarray(grid.shape[::-1])
    low = np.where(np.isfinite(low_mm), low_mm, origin)
    high = np.where(np.isfinite(high_mm), high_mm, origin)
    before = np.maximum(0, np.ceil(-(low - origin) / spacing - 0.5 - 1e-6)).astype(int)
    last = (high - origin) / spacing
    after = np.maximum(0, np.ceil(last + 0.5 - 1e-6).astype(int) - n)
    start = origin - before * spacing
    total = n + before + after
    return Grid(
        (int(total[2]), int(total[1]), int(total[0])),
        (float(start[0]), float(start[1]), float(start[2])),
        grid.spacing_mm,
        grid.frame_uid,
    )


def behind_body(body: NDArray[np.float32], position: PatientPosition) -> NDArray[np.bool_]:
    """Return which voxels are behind the patient, where a couch as imaged is kept.

    In a column of voxels that the body crosses, all beyond its last voxel; in the others, to its
    sides, all beyond the middle of the body of that slice, so that raised edges of a couch are
    kept and tubes and arms in front are not. A slice without body takes the middle of the whole.

    Parameters
    ----------
    body : ndarray of shape (K, J, I)
        Share of each voxel inside the body.
    position : PatientPosition
        Supine: behind is +y; prone: -y.

    Returns
    -------
    ndarray of bool, shape (K, J, I)
    """
    inside = body > 0
    facing = inside if _downwards(position) > 0 else inside[:, ::-1]
    n_rows = facing.shape[1]
    rows = np.arange(n_rows)
    per_row = facing.sum(axis=2)
    counts = per_row.sum(axis=1)
    if not counts.any():
        return np.zeros(inside.shape, dtype=bool)
    overall = float((per_row.sum(axis=0) * rows).sum() / counts.sum())
    middle = np.where(counts > 0, (per_row * rows).sum(axis=1) / np.maximum(counts, 1), overall)
    last = n_rows - 1 - np.argmax(facing[:, ::-1], axis=1)
    edge = np.where(facing.any(axis=1), last, middle[:, None])
    behind = rows[None, :, None] > edge[:, None, :]
    return behind if _downwards(position) > 0 else behind[:, ::-1]


def keep_imaged_couch(
    patient: Image, imaged: Image, body: NDArray[np.float32]
) -> tuple[Image, float]:
    """Add what the CT shows behind the patient.

    Parameters
    ----------
    patient : Image
        Density with nothing outside the body.
    imaged : Image
        Density of everything, on the same grid.
    body : ndarray of shape (K, J, I)
        Share of each voxel inside the body.

    Returns
    -------
    density : Image
        With the couch.
    volume_cc : float
        Of what was added.
    """
    patient.grid.require_same_voxels(imaged.grid, "couch as imaged")
    values = np.asarray(imaged.values, dtype=np.float32)
    kept = behind_body(body, patient.patient_position) & (values >= CLOTH_G_CM3) & (body == 0)
    density = np.where(kept, values, patient.values)
    volume = float(np.count_nonzero(kept)) * patient.grid.voxel_volume_cc
    return replace(patient, values=density), volume


def paint_structures(
    density: Image,
    parts: Sequence[tuple[CouchStructure, Mask]],
    body: NDArray[np.float32],
) -> Image:
    """Add drawn parts of the couch; where the body is, the body stays.

    Parameters
    ----------
    density : Image
        With nothing where the couch is.
    parts : sequence of (CouchStructure, Mask)
        In order: where two overlap, the later one holds.
    body : ndarray of shape (K, J, I)
        Share of each voxel inside the body.
    """
    couch = np.zeros(density.grid.shape, dtype=np.float32)
    for part, mask in parts:
        region = density.grid.region_of(mask.grid)
        couch[region] = (1 - mask.fraction) * couch[region] + mask.fraction * part.density_g_cm3
    return replace(
        density, values=np.asarray(density.values, dtype=np.float32) + (1 - body) * couch
    )


def paint_panel(density: Image, panel: CouchPanel, body: NDArray[np.float32]) -> Image:
    """Add a couch top; a voxel that a layer fills in part takes its share.

    Parameters
    ----------
    density : Image
        With nothing where the couch is; its grid holds the couch (see `enlarged`).
    panel : CouchPanel
        To be added.
    body : ndarray of shape (K, J, I)
        Share of each voxel inside the body; there the body stays.
    """
    x_mm, y_mm, _ = density.grid.axes_mm
    sx, sy, _ = density.grid.spacing_mm
    half = 0.5 * panel.width_mm
    across = _overlap(x_mm, sx, panel.center_x_mm - half, panel.center_x_mm + half)
    direction = _downwards(density.patient_position)
    along = np.zeros(len(y_mm))
    top = panel.top_y_mm
    for thickness_mm, density_g_cm3 in panel.layers:
        bottom = top + direction * thickness_mm
        along += density_g_cm3 * _overlap(y_mm, sy, min(top, bottom), max(top, bottom))
        top = bottom
    couch = (along[:, None] * across[None, :]).astype(np.float32)
    return replace(
        density, values=np.asarray(density.values, dtype=np.float32) + (1 - body) * couch
    )


def _overlap(
    centers_mm: NDArray[np.float64], size_mm: float, low_mm: float, high_mm: float
) -> NDArray[np.float64]:
    """Return the share of each voxel between two planes."""
    low = np.maximum(centers_mm - 0.5 * size_mm, low_mm)
    high = np.minimum(centers_mm + 0.5 * size_mm, high_mm)
    return np.asarray(np.maximum(high - low, 0.0) / size_mm)


def _downwards(position: PatientPosition) -> int:
    """Return the sign of patient y towards the couch."""
    return 1 if position in {PatientPosition.HFS, PatientPosition.FFS} else -1


def _require_density(name: str, density_g_cm3: float) -> None:
    """Raise unless a couch density is one."""
    if not 0 <= density_g_cm3 <= DENSEST_G_CM3:
        msg = f"couch {name}: expected 0 to {DENSEST_G_CM3:g} g/cm3, got {density_g_cm3}"
        raise InputError(msg)
