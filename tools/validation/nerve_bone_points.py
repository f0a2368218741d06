"""How far proposals from bone points lie from the phantom's nerves, with clicks a little off.

The points are where a reader of the phantom's CT would set them; each is moved by a random error.
The phantom's nerves were not made from the relations that the proposal uses. Prints a table::

    python tools/validation/nerve_bone_points.py --n 20
"""

import argparse
from dataclasses import replace

import numpy as np

from rerad.core import Grid, Image, ImageUnit, Modality
from rerad.nerves import propose_paths
from rerad.phantoms import PelvisVisit, palettes
from rerad.phantoms.compose import Canvas, build_anatomy, paint_anatomy
from rerad.phantoms.nerves import build_nerves
from rerad.phantoms.placement import Placement
from rerad.phantoms.skeleton import make_spine

FRAME = "1.2.3"
GRID = Grid((86, 176, 196), (-147.0, -120.0, -86.0), (1.5, 1.5, 3.0), FRAME)
CLICK_SD_MM = 3.0
FAR_MM = 10.0

LEFT_POINTS = {
    "foramen_L4": (26, 18, 150),
    "foramen_L5": (27, 30, 119),
    "foramen_S1": (22, 44, 80),
    "foramen_S2": (22, 58, 59),
    "foramen_S3": (18, 68, 39),
    "sacroiliac": (54, 44, 88),
    "psis": (47, 82, 92),
    "ischial_tuberosity": (52, 28, -68),
    "sciatic_notch": (58, 50, 58),
    "ischial_spine": (66, 33, 20),
}
"""Read off the phantom's CT, in anatomy coordinates (x to the left, y backwards, z up), mm."""


def distances(seed: int) -> dict[str, np.ndarray]:
    """Return the distance of every point of a proposal from the nerve that it proposes, mm."""
    rng = np.random.default_rng([seed, 23])
    visit = PelvisVisit(
        FRAME,
        offset_mm=tuple(rng.uniform(-8, 8, 3)),
        pitch_deg=float(rng.uniform(-4, 4)),
        roll_deg=float(rng.uniform(-3, 3)),
    )
    scale = float(rng.uniform(0.92, 1.08))
    place = Placement(GRID, visit.from_anatomy(), make_spine())
    canvas = Canvas(place, seed, palettes.CT.air)
    paint_anatomy(build_anatomy(place, visit), canvas, palettes.CT)
    grid = replace(
        GRID,
        origin_mm=tuple(scale * v for v in GRID.origin_mm),
        spacing_mm=tuple(scale * v for v in GRID.spacing_mm),
    )
    image = Image(canvas.image.astype(np.int16), grid, Modality.CT, ImageUnit.HU)
    points = {}
    for name, (x, y, z) in LEFT_POINTS.items():
        for side, sign in (("L", 1), ("R", -1)):
            at = scale * place.from_anatomy.apply(np.array([sign * x, y, z], dtype=float))
            points[f"{name}_{side}"] = tuple(at + rng.normal(0, CLICK_SD_MM, 3))
    nerves = build_nerves(place.spine, has_lesion=False)
    found = {}
    for name, path in propose_paths(image, points).items():
        tubes = np.concatenate([nerves.roots[name], nerves.sciatic[name[-1]]])
        share = np.linspace(0, 1, 8)[:, None, None]
        line = tubes[None, :, :3] + share * (tubes[None, :, 4:7] - tubes[None, :, :3])
        truth = scale * place.from_anatomy.apply(line.reshape(-1, 3))
        away = np.linalg.norm(path.points_mm[:, None] - truth[None], axis=2)
        found[name] = away.min(axis=1)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20)
    n = parser.parse_args().n
    collected: dict[str, list[np.ndarray]] = {}
    for seed in range(n):
        for name, away in distances(seed).items():
            collected.setdefault(name[:2], []).append(away)
    print(f"{n} digital patients, both sides, clicks {CLICK_SD_MM:g} mm off (SD along each axis).")
    print()
    print(f"| root | mean, mm | 95th percentile, mm | largest, mm | beyond {FAR_MM:g} mm, % |")
    print("|---|---|---|---|---|")
    for root, parts in collected.items():
        away = np.concatenate(parts)
        far = 100 * np.mean(away > FAR_MM)
        print(
            f"| {root} | {away.mean():.1f} | {np.percentile(away, 95):.1f} | {away.max():.1f} | "
            f"{far:.0f} |"
        )


if __name__ == "__main__":
    main()
