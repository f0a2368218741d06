"""Densities that a planner states where the CT is wrong: artefacts, metal, contrast, bolus."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rerad.core import Finding, Image, ImageUnit, Mask, Severity
from rerad.errors import InputError
from rerad.imaging.materials import DensityQuantity, load_materials, water_equivalent

DENSEST_G_CM3 = 25.0
"""Denser than any metal (iridium and osmium have 22.6): more is a slip of units."""


@dataclass(frozen=True, slots=True)
class DensityOverride:
    """A density stated for a structure.

    Parameters
    ----------
    structure : str
        Name in the structure set.
    density_g_cm3 : float
        0 to `DENSEST_G_CM3`.
    reason : str
        Why; it is printed in the report.
    quantity : DensityQuantity
        Mass density, or electron density as that of the water with as many electrons.

    Raises
    ------
    InputError
        If the density is out of range.
    """

    structure: str
    density_g_cm3: float
    reason: str
    quantity: DensityQuantity = DensityQuantity.MASS

    def __post_init__(self) -> None:
        if not 0 <= self.density_g_cm3 <= DENSEST_G_CM3:
            msg = (
                f"density override {self.structure}: expected 0 to {DENSEST_G_CM3:g} g/cm3, got "
                f"{self.density_g_cm3}"
            )
            raise InputError(msg)

    @property
    def engine_density_g_cm3(self) -> float:
        """The density as the dose engines take it."""
        return water_equivalent(self.density_g_cm3, self.quantity, load_materials())


def apply_overrides(
    density: Image, hu: Image, overrides: Sequence[tuple[DensityOverride, Mask]]
) -> tuple[Image, tuple[Finding, ...]]:
    """Replace the density inside structures, and say what was replaced.

    Parameters
    ----------
    density : Image
        As the dose engines take it.
    hu : Image
        CT numbers on the same grid, for the findings.
    overrides : sequence of (DensityOverride, Mask)
        In order: where two overlap, the later one holds. A voxel partly inside takes its share.

    Returns
    -------
    density : Image
        On the same grid.
    findings : tuple of Finding
        One for each override: volume, mean CT number and mean density replaced.

    Raises
    ------
    InputError
        If an image has another unit, or a mask holds nothing.
    GridMismatchError
        If a mask or `hu` is not on the voxels of `density`.
    """
    if density.unit is not ImageUnit.DENSITY or hu.unit is not ImageUnit.HU:
        msg = f"expected images of density and of HU, got {density.unit} and {hu.unit}"
        raise InputError(msg)
    density.grid.require_same_voxels(hu.grid, "density overrides")
    values = np.array(density.values, dtype=np.float32)
    findings = []
    for override, mask in overrides:
        region = density.grid.region_of(mask.grid)
        share = mask.fraction.astype(np.float64)
        weight = float(share.sum())
        if weight == 0:
            msg = (
                f"density override {override.structure}: no voxel of the dose grid lies inside; "
                "draw it within the CT"
            )
            raise InputError(msg)
        wanted = override.engine_density_g_cm3
        mean_hu = float(np.sum(share * np.asarray(hu.values[region], dtype=np.float64)) / weight)
        before = float(np.sum(share * values[region]) / weight)
        values[region] = (1 - share) * values[region] + share * wanted
        stated = "" if override.quantity is DensityQuantity.MASS else " (electron density)"
        text = (
            f"In {override.structure} ({mask.volume_cc:.1f} cm3, mean {mean_hu:.0f} HU) the "
            f"density was replaced by {override.density_g_cm3:g} g/cm3{stated}: {wanted:.3f} "
            f"instead of {before:.3f} g/cm3 of water on average. Reason given: {override.reason}"
        )
        findings.append(Finding(Severity.CAUTION, "density-overridden", text, override.structure))
    return replace(density, values=values), tuple(findings)
