"""CT numbers to mass density.

The curve belongs to a scanner and its voltage; the one that ships is for orientation. Densities
are mass densities; the dose engine takes all matter as water of that density, which overstates
the attenuation of cortical bone by up to 7 % of its thickness (fewer electrons per gram).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Image, ImageUnit
from rerad.core.arrays import frozen_array
from rerad.errors import InputError, MissingDataError
from rerad.tables.machines_load import read_hounsfield_tables


@dataclass(frozen=True, eq=False, slots=True)
class HounsfieldCurve:
    """A piecewise linear curve from CT number to mass density.

    Parameters
    ----------
    name : str
        What to call it.
    hu : ndarray of shape (N,)
        CT numbers, strictly ascending.
    density_g_cm3 : ndarray of shape (N,)
        Mass densities in g/cm³, 0 or more, not descending.
    source : str
        Where the numbers come from.

    Raises
    ------
    InputError
        If there are fewer than two points or they are out of order.
    """

    name: str
    hu: NDArray[np.float64]
    density_g_cm3: NDArray[np.float64]
    source: str

    def __post_init__(self) -> None:
        for field in ("hu", "density_g_cm3"):
            object.__setattr__(self, field, frozen_array(getattr(self, field), np.float64))
        same = self.hu.ndim == 1 and self.hu.shape == self.density_g_cm3.shape
        if (
            not same
            or len(self.hu) < 2
            or np.any(np.diff(self.hu) <= 0)
            or np.any(np.diff(self.density_g_cm3) < 0)
            or self.density_g_cm3[0] < 0
        ):
            msg = (
                f"Hounsfield curve {self.name}: expected two or more points with ascending HU "
                "and densities of 0 g/cm3 or more that do not fall"
            )
            raise InputError(msg)


def load_hounsfield_curve(name: str) -> HounsfieldCurve:
    """Load a curve of ``tables/hu_density.toml``.

    Parameters
    ----------
    name : str
        ``"schneider_2000"`` or ``"water_linear"``.

    Raises
    ------
    MissingDataError
        If there is no such curve.
    """
    tables = read_hounsfield_tables()
    if name not in tables:
        msg = f"Hounsfield curve {name!r} is not in hu_density.toml; it holds {', '.join(tables)}"
        raise MissingDataError(msg)
    table = tables[name]
    return HounsfieldCurve(
        name=name,
        hu=np.asarray(table["hu"], dtype=np.float64),
        density_g_cm3=np.asarray(table["density_g_cm3"], dtype=np.float64),
        source=f"{table['source']} [{table['trust']}]",
    )


def density_from_hu(image: Image, curve: HounsfieldCurve) -> Image:
    """Convert a CT image to mass density.

    Parameters
    ----------
    image : Image
        In HU.
    curve : HounsfieldCurve
        Calibration; beyond its ends the end densities are used.

    Returns
    -------
    Image
        In g/cm³, on the same grid.

    Raises
    ------
    InputError
        If the image is not in HU or holds values that are not finite.
    """
    if image.unit is not ImageUnit.HU:
        msg = f"expected a CT image in HU, got values in {image.unit}"
        raise InputError(msg)
    values = np.asarray(image.values)
    if values.dtype == np.int16:
        # A CT has at most 65536 values: one lookup instead of an interpolation per voxel.
        every = np.arange(-32768, 32768)
        lookup = np.interp(every, curve.hu, curve.density_g_cm3).astype(np.float32)
        density = lookup[values.astype(np.int32) + 32768]
    else:
        if not np.all(np.isfinite(values)):
            msg = "expected finite CT numbers; mask or replace the others first"
            raise InputError(msg)
        precise = np.interp(values.astype(np.float64), curve.hu, curve.density_g_cm3)
        density = precise.astype(np.float32)
    return replace(image, values=density, unit=ImageUnit.DENSITY)
