r"""Dose to water, which is reported, and dose to the medium, on demand.

The engines transport energy in water made thinner or denser, so their dose is dose to *water-like*
medium: :math:`D_w`, energy per mass of the water with as many electrons per volume as the tissue.
It is what treatment planning systems with convolution report, what earlier courses are mostly
recorded in, and what limits were made from. It is not dose to a small water cavity in the tissue.

Under charged-particle equilibrium a photon field of energy fluence :math:`\Psi` gives the medium

.. math:: D_m = \Psi \, (\mu_{en}/\rho)_m
          = D_w \, \frac{(\mu_{en}/\rho)_m}{(\mu_{en}/\rho)_w}

A Monte Carlo code that reports dose to water means a small cavity instead (Bragg-Gray): that dose
times the mass stopping power of medium over water is dose to the medium. The two conversions must
not be confused: in cortical bone they are -6 and -12 %, and a cavity dose is 7 % above rerad's.
"""

from dataclasses import replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, DoseQuantity, Image, ImageUnit
from rerad.errors import InputError, QuantityMismatchError
from rerad.imaging import Materials, mass_density, resample_image

TO_MEDIUM_SUFFIX = "dose to medium"
"""How the label of a dose to medium ends."""


class WaterDose(StrEnum):
    """Which dose to water a distribution holds.

    ``WATER_LIKE``: of rerad and of other engines that scale water by density.
    ``CAVITY``: of a Monte Carlo or transport code that reports dose to water in medium.
    """

    WATER_LIKE = "dose to water-like medium"
    CAVITY = "dose to a water cavity in medium"


def medium_factor(
    engine_density_g_cm3: NDArray[np.float64], materials: Materials, kind: WaterDose
) -> NDArray[np.float64]:
    """Return dose to medium over dose to water.

    Parameters
    ----------
    engine_density_g_cm3 : ndarray
        Relative electron density, as the dose engines take it.
    materials : Materials
        Tissues (:func:`rerad.imaging.load_materials`).
    kind : WaterDose
        Which dose to water is to be converted.

    Returns
    -------
    ndarray of the same shape
        1 for water; below the first of `materials` the factor of the first.

    References
    ----------
    .. [1] Siebers et al. (2000), Phys. Med. Biol. 45, 983-995, doi:10.1088/0031-9155/45/4/313
       (stopping-power ratios for cavity dose; abstract read).
    .. [2] Andreo (2015), Phys. Med. Biol. 60, 309-337 (water-like media; not read).
    .. [3] Ma & Li (2011), Phys. Med. Biol. 56, 3073-3089 (engines that scale water by electron
       density come nearer to dose to medium than to cavity dose; conclusions read as quoted
       elsewhere).
    """
    thinnest, densest = materials.electron_density[0], materials.electron_density[-1]
    electrons = np.clip(np.asarray(engine_density_g_cm3, dtype=np.float64), thinnest, densest)
    mass = mass_density(electrons, materials)
    is_cavity = kind is WaterDose.CAVITY
    column = materials.stopping_power if is_cavity else materials.energy_absorption
    return np.asarray(np.interp(electrons, materials.electron_density, column) / mass)


def dose_to_medium(
    dose: Dose, density: Image, materials: Materials, *, kind: WaterDose = WaterDose.WATER_LIKE
) -> Dose:
    """Convert physical dose to water to dose to the medium.

    Parameters
    ----------
    dose : Dose
        Physical dose to water.
    density : Image
        Relative electron density in g/cm³, as the dose engines take it; resampled where its
        voxels are not those of `dose`. Where it ends, air is taken.
    materials : Materials
        Tissues (:func:`rerad.imaging.load_materials`).
    kind : WaterDose
        Which dose to water `dose` is; rerad's own is water-like.

    Returns
    -------
    Dose
        In Gy on the same grid; its label ends in "dose to medium". Unknown stays unknown.

    Raises
    ------
    QuantityMismatchError
        If `dose` is EQD2 or BED, or is dose to medium already.
    InputError
        If `density` is not a density.
    FrameMismatchError
        If the two are in different frames.
    """
    if dose.quantity is not DoseQuantity.PHYSICAL or is_to_medium(dose):
        msg = f"expected a physical dose to water, got {dose.quantity} ({dose.label!r})"
        raise QuantityMismatchError(msg)
    if density.unit is not ImageUnit.DENSITY:
        msg = f"expected an image of density in g/cm3, got {density.unit}; convert HU first"
        raise InputError(msg)
    density.grid.require_same_frame(dose.grid, "density for dose to medium")
    if not density.grid.has_same_voxels(dose.grid):
        density = resample_image(density, dose.grid, outside=0.0)
    factor = medium_factor(np.asarray(density.values, dtype=np.float64), materials, kind)
    label = f"{dose.label}, {TO_MEDIUM_SUFFIX}" if dose.label else TO_MEDIUM_SUFFIX
    return replace(
        dose, values=(dose.values * factor).astype(np.float32), label=label, instance_uid=""
    )


def is_to_medium(dose: Dose) -> bool:
    """Return whether a dose says of itself that it is dose to medium."""
    return dose.label.endswith(TO_MEDIUM_SUFFIX)
