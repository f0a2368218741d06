"""What tissues are to a photon beam: mass, electrons and stopping power per volume.

The dose engines know water only, thinner or denser. The density they are given is that of the
water with as many electrons per volume as the tissue: its relative electron density, written in
g/cm³. Compton scattering, by which megavoltage photons lose nearly all they lose in tissue, goes
by electrons: cortical bone attenuates a 6 MV beam 1.5 % more than that, and mass density would
overstate it by 6 %.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import InputError
from rerad.tables import load_table


class DensityQuantity(StrEnum):
    """What a density counts.

    ``MASS``: grams per volume. ``ELECTRON``: electrons per volume, as the density in g/cm³ of the
    water that holds as many; this is what the dose engines take.
    """

    MASS = "mass_density"
    ELECTRON = "electron_density"


@dataclass(frozen=True, eq=False, slots=True)
class Materials:
    """Tissues by ascending density; a straight line between two of them is their mixture.

    Parameters
    ----------
    names : tuple of str
        Air to metal.
    density_g_cm3 : ndarray of shape (N,)
        Mass density.
    electron_density : ndarray of shape (N,)
        Electrons per volume over those of water of 1 g/cm³.
    energy_absorption : ndarray of shape (N,)
        Energy absorbed per volume from one field of photons, over that in water of 1 g/cm³.
    stopping_power : ndarray of shape (N,)
        Collision stopping power for electrons per length, over that of water of 1 g/cm³.
    source : str
        Where the numbers come from.

    Raises
    ------
    InputError
        If the columns differ in length or do not ascend.
    """

    names: tuple[str, ...]
    density_g_cm3: NDArray[np.float64]
    electron_density: NDArray[np.float64]
    energy_absorption: NDArray[np.float64]
    stopping_power: NDArray[np.float64]
    source: str

    def __post_init__(self) -> None:
        columns = ("density_g_cm3", "electron_density", "energy_absorption", "stopping_power")
        for field in columns:
            column = frozen_array(getattr(self, field), np.float64)
            object.__setattr__(self, field, column)
            if column.shape != (len(self.names),) or np.any(np.diff(column) <= 0) or column[0] < 0:
                msg = f"materials: expected {field} of {len(self.names)} rows, ascending from 0"
                raise InputError(msg)


def load_materials() -> Materials:
    """Load the tissues of ``tables/medium.toml``."""
    table = load_table("medium")["materials"]
    return Materials(
        names=tuple(table["name"]),
        density_g_cm3=np.asarray(table["density_g_cm3"], dtype=np.float64),
        electron_density=np.asarray(table["relative_electron_density"], dtype=np.float64),
        energy_absorption=np.asarray(table["relative_energy_absorption"], dtype=np.float64),
        stopping_power=np.asarray(table["relative_stopping_power"], dtype=np.float64),
        source=f"{table['citation']} [{table['trust']}]",
    )


def electron_density(mass_density_g_cm3: ArrayLike, materials: Materials) -> NDArray[np.float64]:
    """Convert mass density to relative electron density.

    Parameters
    ----------
    mass_density_g_cm3 : array_like
        0 or more.
    materials : Materials
        Below the first and above the last of them, its electrons per mass are used.

    Returns
    -------
    ndarray of the same shape
        Electrons per volume over those of water of 1 g/cm³.
    """
    return _carried(mass_density_g_cm3, materials.density_g_cm3, materials.electron_density)


def mass_density(
    relative_electron_density: ArrayLike, materials: Materials
) -> NDArray[np.float64]:
    """Convert relative electron density to mass density in g/cm³; undoes `electron_density`."""
    return _carried(relative_electron_density, materials.electron_density, materials.density_g_cm3)


def water_equivalent(
    density_g_cm3: float, quantity: DensityQuantity, materials: Materials
) -> float:
    """Return a stated density as the dose engines take it.

    Parameters
    ----------
    density_g_cm3 : float
        As stated.
    quantity : DensityQuantity
        What it counts.
    materials : Materials
        For mass densities.

    Returns
    -------
    float
        Density in g/cm³ of the water with as many electrons per volume.
    """
    if quantity is DensityQuantity.ELECTRON:
        return density_g_cm3
    return float(electron_density(density_g_cm3, materials))


def _carried(
    values: ArrayLike, given: NDArray[np.float64], wanted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate, and carry the first and last ratio on beyond the ends."""
    asked = np.asarray(values, dtype=np.float64)
    inside = np.interp(asked, given, wanted)
    inside = np.where(asked < given[0], asked * (wanted[0] / given[0]), inside)
    return np.asarray(np.where(asked > given[-1], asked * (wanted[-1] / given[-1]), inside))
