"""Measured depth doses and profiles, from PTW ``.mcc`` text files and from CSV.

Strict: a scan that the tank of `rerad.dosecalc.commission` does not describe (a wedge, a tilted
gantry, a scan beside the axis, a diagonal) is refused, not bent. Positions become mm, ascending;
values stay in the unit of the file, because only ratios along a curve are used. Nothing is
smoothed, shifted or mirrored.

CSV files have the header ``curve,field_x_mm,field_y_mm,ssd_mm,depth_mm,position_mm,value``.
`curve` is ``depth_dose``, ``crossplane`` or ``inplane``; `depth_mm` is empty for depth doses,
whose depths are in `position_mm`. One curve is all rows of the same first five columns.
"""

import csv
import io
import math
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rerad.core.arrays import frozen_array
from rerad.errors import CaseError

CSV_HEADER = (
    "curve",
    "field_x_mm",
    "field_y_mm",
    "ssd_mm",
    "depth_mm",
    "position_mm",
    "value",
)
"""Columns of a CSV file, in this order."""

MIN_POINTS = 5
"""Curves with fewer points are refused: neither a maximum nor an edge could be found on them."""

_MCC_FORMAT = "CC-Export"
_MUST_BE = {
    "MODALITY": "X",
    "FIELD_TYPE": "RECTANGULAR",
    "SCAN_DIAGONAL": "NOT_DIAGONAL",
    "MEAS_MEDIUM": "WATER",
}
_MUST_BE_ZERO = (
    "WEDGE_ANGLE",
    "GANTRY",
    "COLL_ANGLE",
    "COLL_OFFSET_INPLANE",
    "COLL_OFFSET_CROSSPLANE",
    "SCAN_OFFAXIS_INPLANE",
    "SCAN_OFFAXIS_CROSSPLANE",
    "SCAN_ANGLE",
    "INCLINATION_ANGLE",
)


class CurveKind(StrEnum):
    """What was scanned."""

    DEPTH_DOSE = "depth_dose"
    CROSSPLANE = "crossplane"
    INPLANE = "inplane"


_MCC_KINDS = {
    "PDD": CurveKind.DEPTH_DOSE,
    "CROSSPLANE_PROFILE": CurveKind.CROSSPLANE,
    "INPLANE_PROFILE": CurveKind.INPLANE,
}


@dataclass(frozen=True, eq=False, slots=True)
class MeasuredCurve:
    """One scan in a tank.

    Parameters
    ----------
    kind : CurveKind
        Depth dose, crossplane or inplane profile.
    field_crossplane_mm, field_inplane_mm : float
        Sides of the field at the isocentre plane.
    ssd_mm : float
        From source to surface.
    depth_mm : float or None
        Depth of a profile; None for a depth dose.
    positions_mm : ndarray of shape (N,)
        Depths, or distances from the axis; ascending.
    values : ndarray of shape (N,)
        Readings in the unit of the file, 0 or more.
    detector : str
        As the file names it; empty if it does not.
    """

    kind: CurveKind
    field_crossplane_mm: float
    field_inplane_mm: float
    ssd_mm: float
    depth_mm: float | None
    positions_mm: NDArray[np.float64]
    values: NDArray[np.float64]
    detector: str = ""

    def __post_init__(self) -> None:
        for name in ("positions_mm", "values"):
            object.__setattr__(self, name, frozen_array(getattr(self, name), np.float64))


def read_measured(path: Path) -> tuple[MeasuredCurve, ...]:
    """Read every curve of a file of measurements.

    Parameters
    ----------
    path : Path
        A PTW ``.mcc`` text file or a ``.csv`` file.

    Returns
    -------
    tuple of MeasuredCurve
        In the order of the file, at least one.

    Raises
    ------
    CaseError
        If the file cannot be read, is of another kind, or a scan is incomplete or is not one that
        the tank describes.
    """
    readers = {".mcc": _read_mcc, ".csv": _read_csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        msg = f"{path}: expected a file of measurements ending in .mcc or .csv"
        raise CaseError(msg)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: expected a text file of measurements, but it cannot be read: {error}"
        raise CaseError(msg) from error
    curves = reader(text, path)
    if not curves:
        msg = f"{path}: expected at least one scan, found none"
        raise CaseError(msg)
    return curves


def _read_mcc(text: str, path: Path) -> tuple[MeasuredCurve, ...]:
    """Split a PTW file into its scans."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    is_export = len(lines) > 1 and lines[1].startswith(f"FORMAT={_MCC_FORMAT}")
    if not lines or lines[0] != "BEGIN_SCAN_DATA" or not is_export:
        msg = f"{path}: expected a PTW scan file (BEGIN_SCAN_DATA, then FORMAT={_MCC_FORMAT})"
        raise CaseError(msg)
    curves: list[MeasuredCurve] = []
    scan: list[str] | None = None
    for line in lines[1:]:
        if line.startswith("BEGIN_SCAN "):
            if scan is not None:
                break
            scan = []
        elif line.startswith("END_SCAN ") and scan is not None:
            curves.append(_mcc_scan(scan, f"{path}, scan {len(curves) + 1}"))
            scan = None
        elif scan is not None:
            scan.append(line)
    if scan is not None or lines[-1] != "END_SCAN_DATA":
        msg = f"{path}: scan {len(curves) + 1} has no end; the file is cut off, export it again"
        raise CaseError(msg)
    return tuple(curves)


def _mcc_scan(lines: list[str], where: str) -> MeasuredCurve:
    """Make a curve of the lines of one scan."""
    if lines.count("BEGIN_DATA") != 1 or not lines or lines[-1] != "END_DATA":
        msg = f"{where}: expected one block of numbers from BEGIN_DATA to END_DATA"
        raise CaseError(msg)
    start = lines.index("BEGIN_DATA")
    header = dict(line.split("=", 1) for line in lines[:start] if "=" in line)
    kind = _MCC_KINDS.get(header.get("SCAN_CURVETYPE", ""))
    if kind is None:
        msg = (
            f"{where}: expected SCAN_CURVETYPE {', '.join(_MCC_KINDS)}, got "
            f"{header.get('SCAN_CURVETYPE', 'none')}; leave this scan out of the export"
        )
        raise CaseError(msg)
    _require_open_field(header, where)
    pairs = [line.split("#", 1)[0].split() for line in lines[start + 1 : -1]]
    if any(len(pair) != 2 for pair in pairs):
        msg = f"{where}: expected a position and a value on each line of the data"
        raise CaseError(msg)
    numbers = [[_number(text, where, "data") for text in pair] for pair in pairs]
    is_profile = kind is not CurveKind.DEPTH_DOSE
    return _curve(
        MeasuredCurve(
            kind=kind,
            field_crossplane_mm=_header_number(header, "FIELD_CROSSPLANE", where),
            field_inplane_mm=_header_number(header, "FIELD_INPLANE", where),
            ssd_mm=_header_number(header, "SSD", where),
            depth_mm=_header_number(header, "SCAN_DEPTH", where) if is_profile else None,
            positions_mm=np.array([pair[0] for pair in numbers]),
            values=np.array([pair[1] for pair in numbers]),
            detector=header.get("DETECTOR_NAME", ""),
        ),
        where,
    )


def _require_open_field(header: dict[str, str], where: str) -> None:
    """Raise unless what the header says is an open, centred field from above."""
    for key, expected in _MUST_BE.items():
        if key in header and header[key] != expected:
            msg = f"{where}: expected {key}={expected}, got {header[key]}; leave this scan out"
            raise CaseError(msg)
    for key in _MUST_BE_ZERO:
        if key in header and abs(_number(header[key], where, key)) > 1e-6:
            msg = f"{where}: expected {key}=0, got {header[key]}; leave this scan out"
            raise CaseError(msg)


def _read_csv(text: str, path: Path) -> tuple[MeasuredCurve, ...]:
    """Collect the rows of each curve."""
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if not rows or tuple(cell.strip() for cell in rows[0]) != CSV_HEADER:
        msg = f"{path}: expected the header {','.join(CSV_HEADER)}"
        raise CaseError(msg)
    found: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for n, row in enumerate(rows[1:], 2):
        where = f"{path}, row {n}"
        cells = [cell.strip() for cell in row]
        if len(cells) != len(CSV_HEADER):
            msg = f"{where}: expected {len(CSV_HEADER)} columns, got {len(cells)}"
            raise CaseError(msg)
        pair = (_number(cells[5], where, "position_mm"), _number(cells[6], where, "value"))
        found.setdefault(tuple(cells[:5]), []).append(pair)
    return tuple(_csv_curve(key, pairs, path) for key, pairs in found.items())


def _csv_curve(
    key: tuple[str, ...], pairs: list[tuple[float, float]], path: Path
) -> MeasuredCurve:
    """Make a curve of the rows that share their first five columns."""
    name, field_x, field_y, ssd, depth = key
    where = f"{path}, curve {','.join(key)}"
    if name not in set(CurveKind):
        msg = f"{where}: expected a curve of {', '.join(CurveKind)}, got {name!r}"
        raise CaseError(msg)
    kind = CurveKind(name)
    if (kind is CurveKind.DEPTH_DOSE) != (depth == ""):
        msg = f"{where}: expected a depth_mm for a profile and none for a depth dose"
        raise CaseError(msg)
    return _curve(
        MeasuredCurve(
            kind=kind,
            field_crossplane_mm=_number(field_x, where, "field_x_mm"),
            field_inplane_mm=_number(field_y, where, "field_y_mm"),
            ssd_mm=_number(ssd, where, "ssd_mm"),
            depth_mm=_number(depth, where, "depth_mm") if depth else None,
            positions_mm=np.array([pair[0] for pair in pairs]),
            values=np.array([pair[1] for pair in pairs]),
        ),
        where,
    )


def _curve(curve: MeasuredCurve, where: str) -> MeasuredCurve:
    """Sort a curve by position and refuse it if it cannot be one."""
    sizes = (curve.field_crossplane_mm, curve.field_inplane_mm, curve.ssd_mm)
    if min(sizes) <= 0 or (curve.depth_mm is not None and curve.depth_mm < 0):
        msg = f"{where}: expected field sizes and SSD above 0 mm and no negative depth"
        raise CaseError(msg)
    if len(curve.positions_mm) < MIN_POINTS:
        msg = f"{where}: expected at least {MIN_POINTS} points, got {len(curve.positions_mm)}"
        raise CaseError(msg)
    order = np.argsort(curve.positions_mm, kind="stable")
    positions, values = curve.positions_mm[order], curve.values[order]
    if np.any(np.diff(positions) <= 0):
        twice = positions[1:][np.diff(positions) <= 0][0]
        msg = f"{where}: expected each position once, got {twice:g} mm twice"
        raise CaseError(msg)
    if np.any(values < 0) or values.max() <= 0:
        msg = f"{where}: expected values of 0 or more, and not 0 everywhere"
        raise CaseError(msg)
    return replace(curve, positions_mm=positions, values=values)


def _header_number(header: dict[str, str], key: str, where: str) -> float:
    """A number that a scan's header has to give."""
    if key not in header:
        msg = f"{where}: {key} is missing; export the scan with its header"
        raise CaseError(msg)
    return _number(header[key], where, key)


def _number(text: str, where: str, what: str) -> float:
    """A finite number, or one sentence."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        msg = f"{where}: expected a number for {what}, got {text!r}"
        raise CaseError(msg)
    return value
