"""What a wrong point spread does to diameter and recovered uptake: a tube, widths misstated.

Prints two Markdown tables; each cell is the mean error along the tube::

    python tools/validation/nerve_point_spread.py
"""

from collections.abc import Iterator

import numpy as np

from rerad.core import Image, Modality, NervePath
from rerad.nerves import (
    CaliberProfile,
    Resolution,
    measure_caliber,
    measure_uptake,
    path_from_points,
)
from rerad.phantoms.tubes import TubeScan, TubeShape, scan_tube, tube_grid

FRAME = "1.2.3"
DIAMETERS_MM = (5.0, 7.0, 9.0)
PET_FWHM_MM = (5.0, 6.0, 7.0)
CT_FWHM_MM = 1.0
CT_WRONG_MM = (-0.5, -0.3, 0.0, 0.3, 0.5)
PET_WRONG_MM = (-1.0, -0.5, 0.0, 0.5, 1.0)
CT_SD_MM, PET_SD_MM = 0.3, 0.5
SUV, BACKGROUND_SUV = 4.0, 0.5


def tube(diameter_mm: float) -> tuple[TubeShape, NervePath, Image]:
    """Return a tube, a path half a millimetre off, and its CT."""
    shape = TubeShape(diameter_mm, offset_mm=(0.3, 0.2, 0.1))
    path = path_from_points(shape.centre_line(17.0) + 0.3, name="L5_R", frame_uid=FRAME)
    scan = TubeScan(
        tube_grid((1.0, 1.0, 3.0), (44.0, 44.0, 50.0), FRAME),
        (CT_FWHM_MM, CT_FWHM_MM, 0.0), -100.0, 134.0, 8.0,
    )  # fmt: skip
    return shape, path, scan_tube(shape, scan, Modality.CT)


def ct_rows() -> Iterator[str]:
    """Yield the rows of the diameters."""
    for diameter_mm in DIAMETERS_MM:
        _, path, ct = tube(diameter_mm)
        cells = []
        for wrong_mm in CT_WRONG_MM:
            stated = CT_FWHM_MM + wrong_mm
            found = measure_caliber(ct, path, Resolution((stated, stated, 0.0), CT_SD_MM))
            error = float(np.nanmean(found.diameter_mm - diameter_mm))
            cells.append(f"{error:+.2f} ± {float(np.nanmean(found.sd_mm)):.2f}")
        yield f"| {diameter_mm:g} mm | " + " | ".join(cells) + " |"


def pet_cell(shape: TubeShape, caliber: CaliberProfile, fwhm_mm: float, wrong_mm: float) -> str:
    """Return mean relative error, the uncertainty stated, and the share that covers the truth."""
    grid = tube_grid((3.0, 3.0, 3.0), (60.0, 60.0, 54.0), FRAME)
    scan = TubeScan(grid, (fwhm_mm,) * 3, BACKGROUND_SUV, SUV - BACKGROUND_SUV, 0.05)
    resolution = Resolution((fwhm_mm + wrong_mm,) * 3, PET_SD_MM)
    found = measure_uptake(
        scan_tube(shape, scan, Modality.PET), caliber, resolution, otherwise=(5.3, 0.9)
    )
    error = 100 * float(np.nanmean(found.recovered / SUV - 1))
    stated = 100 * float(np.nanmean(found.sd / found.recovered))
    covers = 100 * float(np.mean(np.abs(found.recovered - SUV) <= 1.96 * found.sd))
    return f"{error:+.0f} ± {stated:.0f} ({covers:.0f})"


def pet_rows() -> Iterator[str]:
    """Yield the rows of the uptake."""
    for diameter_mm in DIAMETERS_MM:
        shape, path, ct = tube(diameter_mm)
        caliber = measure_caliber(ct, path, Resolution((CT_FWHM_MM, CT_FWHM_MM, 0.0)))
        for fwhm_mm in PET_FWHM_MM:
            cells = [pet_cell(shape, caliber, fwhm_mm, wrong) for wrong in PET_WRONG_MM]
            yield f"| {diameter_mm:g} mm, {fwhm_mm:g} mm | " + " | ".join(cells) + " |"


def head(first: str, wrong_mm: tuple[float, ...]) -> str:
    """Return the head of a table."""
    names = " | ".join(f"{w:+g} mm" if w else "true" for w in wrong_mm)
    return f"| {first} | {names} |\n" + "|---" * (len(wrong_mm) + 1) + "|"


def main() -> None:
    """Print both tables."""
    print(head("tube", CT_WRONG_MM), *ct_rows(), sep="\n")
    print("\n" + head("tube, FWHM", PET_WRONG_MM), *pet_rows(), sep="\n")


if __name__ == "__main__":
    main()
