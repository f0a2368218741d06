"""CT numbers to the density that the dose engines take.

A curve belongs to a scanner and its voltage; those that ship are for orientation. A curve may
give mass density or electron density; the engines are given the density of the water with as
many electrons per volume (see :mod:`rerad.imaging.materials`).
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rerad.core import Finding, Image, ImageUnit, Severity
from rerad.core.arrays import frozen_array
from rerad.core.scanner import Scanner
from rerad.errors import InputError, MissingDataError
from rerad.imaging.materials import DensityQuantity, electron_density, load_materials
from rerad.tables.machines_load import read_hounsfield_tables

AIR_HU = -1000.0
"""CT number of air, by definition of the scale; what lies outside an image counts as air."""

AIR_AT_MOST_G_CM3 = 0.05
"""A curve has to begin with air: its first density is at most this (rerad's choice)."""

AIR_FROM_HU = -900.0
"""A curve has to begin with air: its first CT number is at most this (rerad's choice)."""

WATER_WITHIN_G_CM3 = 0.1
"""How far from 1 the density at 0 HU may be; more is a slip of columns or of units."""

SCALE_END_HU = 3071
"""Last CT number of a 12-bit scale: what is denser is written as this."""


@dataclass(frozen=True, eq=False, slots=True)
class HounsfieldCurve:
    """A piecewise linear curve from CT number to density.

    Parameters
    ----------
    name : str
        What to call it.
    hu : ndarray of shape (N,)
        CT numbers, strictly ascending, from air on.
    density_g_cm3 : ndarray of shape (N,)
        Densities in g/cm³, 0 or more, not descending, to at least 1.
    source : str
        Where the numbers come from.
    quantity : DensityQuantity
        Mass density, or electron density as that of the water with as many electrons.
    scanner : str
        Manufacturer and model that it was measured on; empty for a generic curve.
    kvp : float or None
        Tube voltage in kV that it was measured at; None if not said.

    Raises
    ------
    InputError
        If there are fewer than two points, they are out of order, do not begin with air or do
        not reach water, or if water is not near 1 g/cm³.
    """

    name: str
    hu: NDArray[np.float64]
    density_g_cm3: NDArray[np.float64]
    source: str
    quantity: DensityQuantity = DensityQuantity.MASS
    scanner: str = ""
    kvp: float | None = None

    def __post_init__(self) -> None:
        for field in ("hu", "density_g_cm3"):
            object.__setattr__(self, field, frozen_array(getattr(self, field), np.float64))
        hu, density = self.hu, self.density_g_cm3
        same = hu.ndim == 1 and hu.shape == density.shape
        finite = same and bool(np.all(np.isfinite(hu)) and np.all(np.isfinite(density)))
        if (
            not finite
            or len(hu) < 2
            or np.any(np.diff(hu) <= 0)
            or np.any(np.diff(density) < 0)
            or density[0] < 0
        ):
            msg = (
                f"Hounsfield curve {self.name}: expected two or more points with ascending HU "
                "and densities of 0 g/cm3 or more that do not fall"
            )
            raise InputError(msg)
        if hu[0] > AIR_FROM_HU or density[0] > AIR_AT_MOST_G_CM3 or density[-1] < 1:
            msg = (
                f"Hounsfield curve {self.name}: expected points from air (at most "
                f"{AIR_FROM_HU:g} HU and {AIR_AT_MOST_G_CM3:g} g/cm3) to at least 1 g/cm3, got "
                f"{hu[0]:g} HU, {density[0]:g} g/cm3 to {hu[-1]:g} HU, {density[-1]:g} g/cm3; "
                "add what is missing"
            )
            raise InputError(msg)
        water = float(np.interp(0.0, hu, density))
        if abs(water - 1) > WATER_WITHIN_G_CM3:
            msg = (
                f"Hounsfield curve {self.name}: expected about 1 g/cm3 at 0 HU, got {water:.3f}; "
                "check the columns and the units"
            )
            raise InputError(msg)

    def engine_density(self, hu: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the dose engines take for CT numbers: relative electron density.

        Parameters
        ----------
        hu : ndarray
            CT numbers; beyond the ends of the curve the end densities are used.

        Returns
        -------
        ndarray of the same shape
            Density in g/cm³ of the water with as many electrons per volume.
        """
        density = np.interp(hu, self.hu, self.density_g_cm3)
        if self.quantity is DensityQuantity.ELECTRON:
            return density
        return electron_density(density, load_materials())


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
        quantity=DensityQuantity(table["quantity"]),
        scanner=table["scanner"],
        kvp=table["kvp"] or None,
    )


def read_curve_points(path: Path) -> tuple[tuple[float, float], ...]:
    """Read a curve from a CSV file: CT number, density.

    Parameters
    ----------
    path : Path
        Two columns separated by comma, semicolon or tab, the first line naming them: ``HU`` and a
        name that begins with ``density`` or ``relative``. Lines that begin with # are passed over.

    Returns
    -------
    tuple of (float, float)
        CT number and density of each line.

    Raises
    ------
    InputError
        If the file cannot be read, or a line does not hold two numbers.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: expected a readable CSV file with HU and density ({error})"
        raise InputError(msg) from error
    lines = [
        (number, [cell.strip() for cell in re.split(r"[,;\t]", line)])
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    head = [cell.lower() for cell in lines[0][1]] if lines else []
    if len(head) != 2 or head[0] != "hu" or not head[1].startswith(("density", "relative")):
        msg = f"{path}: expected a first line HU,density, got {','.join(head)!r}"
        raise InputError(msg)
    points = []
    for number, cells in lines[1:]:
        try:
            first, second = (float(cell) for cell in cells)
        except ValueError as error:
            msg = f"{path}: line {number}: expected two numbers, got {','.join(cells)!r}"
            raise InputError(msg) from error
        points.append((first, second))
    return tuple(points)


def density_from_hu(image: Image, curve: HounsfieldCurve) -> Image:
    """Convert a CT image to the density that the dose engines take.

    Parameters
    ----------
    image : Image
        In HU.
    curve : HounsfieldCurve
        Calibration; beyond its ends the end densities are used (see `beyond_curve`).

    Returns
    -------
    Image
        Density in g/cm³ of the water with as many electrons per volume, on the same grid.

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
        every = np.arange(-32768, 32768, dtype=np.float64)
        lookup = curve.engine_density(every).astype(np.float32)
        density = lookup[values.astype(np.int32) + 32768]
    else:
        if not np.all(np.isfinite(values)):
            msg = "expected finite CT numbers; mask or replace the others first"
            raise InputError(msg)
        density = curve.engine_density(values.astype(np.float64)).astype(np.float32)
    return replace(image, values=density, unit=ImageUnit.DENSITY)


def beyond_curve(image: Image, curve: HounsfieldCurve) -> NDArray[np.int64]:
    """Return the voxels whose CT number the curve does not know.

    Those are above its last point, or at the end of a 12-bit scale where nothing is higher: the
    scanner wrote the highest number it has, and the density may be anything above.

    Parameters
    ----------
    image : Image
        In HU.
    curve : HounsfieldCurve
        Calibration.

    Returns
    -------
    ndarray of shape (N, 3)
        Indices ``(k, j, i)``.
    """
    values = np.asarray(image.values)
    high = values > curve.hu[-1]
    if values.size and values.max() == SCALE_END_HU:
        high |= values == SCALE_END_HU
    return np.argwhere(high)


def clipped_finding(highest_hu: float, volume_cc: float, curve: HounsfieldCurve) -> Finding:
    """Say how much of the body is denser than the curve knows.

    Parameters
    ----------
    highest_hu : float
        Of those voxels.
    volume_cc : float
        Of those voxels.
    curve : HounsfieldCurve
        Whose last density stands for them.
    """
    last = float(curve.engine_density(curve.hu[-1:])[0])
    text = (
        f"{volume_cc:.2f} cm3 inside the body has CT numbers up to {highest_hu:.0f} HU, beyond "
        f"the curve {curve.name} (to {curve.hu[-1]:.0f} HU) or at the end of the scale: metal, or "
        f"its artefact. It counts as {last:.2f} g/cm3 of water; dose behind it is uncertain. Draw "
        "it and state its density as a density override."
    )
    return Finding(Severity.CAUTION, "hu-beyond-curve", text)


def curve_findings(curve: HounsfieldCurve, scanner: Scanner) -> list[Finding]:
    """Say where a curve was not made for the scanner of an image.

    Parameters
    ----------
    curve : HounsfieldCurve
        Chosen.
    scanner : Scanner
        As the image names it.

    Returns
    -------
    list of Finding
        Empty if scanner and voltage are the curve's.
    """
    findings = []
    if not curve.scanner:
        text = (
            f"CT numbers were turned into density with the generic curve {curve.name}, not with "
            f"that of {scanner.text}: densities of bone can be several per cent off. Give the "
            "scanner's own curve as [[ct_calibration]]."
        )
        findings.append(Finding(Severity.CAUTION, "hu-curve-generic", text))
    elif not scanner.model:
        text = (
            f"The CT does not name its scanner, so nobody can tell whether the curve "
            f"{curve.name} of {curve.scanner} is its own."
        )
        findings.append(Finding(Severity.CAUTION, "ct-scanner-unknown", text))
    elif not _is_same_scanner(curve.scanner, scanner):
        text = (
            f"The curve {curve.name} belongs to {curve.scanner}, but the CT was made on "
            f"{scanner.text}: choose that scanner's curve."
        )
        findings.append(Finding(Severity.SERIOUS, "hu-curve-of-another-scanner", text))
    if curve.kvp is not None and scanner.kvp is not None and curve.kvp != scanner.kvp:
        text = (
            f"The curve {curve.name} was measured at {curve.kvp:g} kV, the CT at "
            f"{scanner.kvp:g} kV: bone has another CT number there."
        )
        findings.append(Finding(Severity.CAUTION, "hu-curve-of-another-voltage", text))
    return findings


def _is_same_scanner(stated: str, scanner: Scanner) -> bool:
    """Return whether a name holds every word of the model that the image names."""
    words = set(re.findall(r"[a-z0-9]+", stated.lower()))
    return set(re.findall(r"[a-z0-9]+", scanner.model.lower())) <= words
