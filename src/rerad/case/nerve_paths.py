"""Centre lines of a case's nerves: from contours, or from clicks tracked on CT or MR."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from rerad.case.targets_outputs import TargetPatient
from rerad.core import NervePath
from rerad.errors import InputError
from rerad.nerves import path_from_structure, track_path

Clicks = Mapping[str, tuple[tuple[float, float, float], ...]]
"""Points (x, y, z) in mm in the planning CT's frame, from the spine outwards, by path."""

TRACKED_ON = ("CT", "MR")
"""Images on which a nerve can be tracked between clicks."""


def parse_clicks(table: Mapping[str, Any]) -> Clicks:
    """Read clicked points from a recipe's table.

    Raises
    ------
    InputError
        If a path has fewer than two points or a point is not three finite numbers.
    """
    clicks = {}
    for name, rows in table.items():
        try:
            points = np.array(rows, dtype=np.float64)
        except (TypeError, ValueError):
            points = np.zeros(0)
        if points.ndim != 2 or points.shape[1] != 3 or not np.all(np.isfinite(points)):
            msg = (
                f"[nerves.clicks] {name}: expected points [x, y, z] in mm, from the spine "
                f"outwards, got {rows}"
            )
            raise InputError(msg)
        if len(points) < 2:
            msg = f"[nerves.clicks] {name}: expected two points or more, got {len(points)}"
            raise InputError(msg)
        clicks[str(name)] = tuple((float(x), float(y), float(z)) for x, y, z in points)
    return MappingProxyType(clicks)


def clicks_from_words(words: Sequence[str]) -> Clicks:
    """Read clicked points from the command line: ``L5_R=x,y,z`` once for each point, in order.

    Raises
    ------
    InputError
        If a word is not of that form.
    """
    table: dict[str, list[list[float]]] = {}
    for word in words:
        name, _, numbers = word.partition("=")
        try:
            point = [float(v) for v in numbers.split(",")]
        except ValueError:
            point = []
        if not name or len(point) != 3:
            msg = f"--click: expected NAME=x,y,z in mm such as L5_R=-38,22,101, got {word}"
            raise InputError(msg)
        table.setdefault(name, []).append(point)
    return parse_clicks(table)


def paths_of(
    who: TargetPatient, roots: Mapping[str, str], clicks: Clicks, track_on: str
) -> dict[str, NervePath]:
    """Return the centre line of every root: tracked where it was clicked, else as contoured.

    Raises
    ------
    InputError
        If a nerve shall be tracked on an image that is not there.
    """
    paths = {
        name: path_from_structure(who.structures[drawn], name=name)
        for name, drawn in roots.items()
        if name not in clicks
    }
    if not clicks:
        return paths
    image = who.mr if track_on == "MR" else who.image
    if image is None:
        msg = "[nerves]: expected an MR to track the clicks on, there is none; use track_on = 'CT'"
        raise InputError(msg)
    for name, points in clicks.items():
        paths[name] = track_path(image, points, name=name)
    return {name: paths[name] for name in dict.fromkeys((*roots, *clicks))}
