"""Fifty digital patients, with and without thickened roots: what the flags say of each.

Body size, pose, bladder, bowel, uptake, noise and side of the lesion vary; a third have none. The
roots are measured along the phantom's own contours, and along a few points clicked on them and
tracked. Prints one line a patient and a table; ``--out`` keeps the lines, so that it can go on::

    python tools/validation/nerve_patients.py --n 50 --out patients.json
"""

import argparse
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rerad.core import Grid, Image, ImageUnit, Mask, Modality, NervePath, StructureKind
from rerad.errors import InputError
from rerad.nerves import (
    NerveMeasurement,
    ReferenceUptake,
    Resolution,
    compare_sides,
    fill_from_contours,
    measure_caliber,
    measure_uptake,
    normal_root,
    path_from_structure,
    track_path,
)
from rerad.phantoms import PelvisVisit, palettes
from rerad.phantoms.compose import Canvas, add_scan_noise, build_anatomy, paint_anatomy
from rerad.phantoms.fields import mask_of
from rerad.phantoms.palettes import Tissue
from rerad.phantoms.placement import Placement
from rerad.phantoms.skeleton import make_spine
from rerad.phantoms.tubes import FWHM_PER_SIGMA
from rerad.structures import contours_from_mask
from rerad.tables import load_table

FRAME = "1.2.3"
ROOTS = ("L4", "L5", "S1")
PET_FWHM_MM = 6.0
CT_RESOLUTION = Resolution((0.8, 0.8, 0.0))
PET_RESOLUTION = Resolution((PET_FWHM_MM,) * 3, 0.5)
CLICKS_EVERY_MM = 18.0


@dataclass(frozen=True)
class Patient:
    """What varies from one to the next."""

    seed: int
    side: str
    scale: float
    suv: float
    noise_hu: float
    visit: PelvisVisit


def patient(seed: int) -> Patient:
    """Return a random patient; a third have no lesion, a third one on the left."""
    rng = np.random.default_rng([seed, 11])
    side = ("R", "L", "")[seed % 3]
    visit = PelvisVisit(
        FRAME,
        offset_mm=tuple(rng.uniform(-8, 8, 3)),
        pitch_deg=float(rng.uniform(-4, 4)),
        roll_deg=float(rng.uniform(-3, 3)),
        bladder_volume_cc=float(rng.uniform(60, 350)),
        bowel_seed=int(rng.integers(1, 1000)),
        has_lesion=bool(side),
    )
    return Patient(
        seed, side, float(rng.uniform(0.92, 1.08)), float(rng.uniform(2.5, 7.0)),
        float(rng.uniform(8, 18)), visit,
    )  # fmt: skip


def scans(who: Patient) -> tuple[Image, Image, dict[str, Mask], ReferenceUptake]:
    """Return CT and PET of the lumbosacral region, root masks, and blood pool."""
    grid = Grid((66, 176, 196), (-95.0, -50.0, -8.0), (0.98, 0.98, 3.0), FRAME)
    spine = make_spine()
    place = Placement(grid, who.visit.from_anatomy(), spine)
    anatomy = build_anatomy(place, who.visit)
    canvas = Canvas(place, who.seed, palettes.CT.air)
    paint_anatomy(anatomy, canvas, palettes.CT)
    hu = add_scan_noise(canvas.image, who.noise_hu, who.seed)
    masks = {
        name: mask_of(f"NervRoot_{name}", StructureKind.OAR, f.sdf < 0, f.start, grid)
        for name, f in anatomy.root_fields.items()
        if name[:2] in ROOTS
    }
    fine = Grid((49, 86, 96), (-95.0, -50.0, -8.0), (2.0, 2.0, 4.0), FRAME)
    pet_place = Placement(fine, who.visit.from_anatomy(), spine)
    pet_anatomy = build_anatomy(pet_place, who.visit)
    palette = replace(palettes.PET, lesion=Tissue(who.suv))
    pet_canvas = Canvas(pet_place, who.seed, palettes.PET.air)
    paint_anatomy(pet_anatomy, pet_canvas, palette)
    suv, coarse = pet_values(pet_canvas.image, fine, who.seed)
    blood = blood_pool(pet_anatomy.organs.vessels, fine, suv)
    ct = Image(hu, grid, Modality.CT, ImageUnit.HU)
    pet = Image(suv, coarse, Modality.PET, ImageUnit.SUVBW)
    return (
        scaled(ct, who),
        scaled(pet, who),
        {n: scaled_mask(m, who) for n, m in masks.items()},
        blood,
    )


def pet_values(image: np.ndarray, fine: Grid, seed: int) -> tuple[np.ndarray, Grid]:
    """Return blurred, averaged, noisy SUV on 4 mm voxels, as the demo's PET."""
    from scipy.ndimage import gaussian_filter

    sigma = PET_FWHM_MM / FWHM_PER_SIGMA / np.asarray(fine.spacing_mm)[::-1]
    blurred = gaussian_filter(image, sigma)
    k, j, i = blurred.shape
    suv = blurred.reshape(k, j // 2, 2, i // 2, 2).mean(axis=(2, 4))
    noise = gaussian_filter(np.random.default_rng([seed, 3]).standard_normal(suv.shape), 0.6)
    suv = np.maximum(suv + 0.07 * np.sqrt(np.maximum(suv, 0) + 0.02) * noise / noise.std(), 0)
    x, y, z = fine.origin_mm
    return suv.astype(np.float32), Grid(suv.shape, (x + 1.0, y + 1.0, z), (4.0, 4.0, 4.0), FRAME)


def blood_pool(vessels: dict, fine: Grid, suv: np.ndarray) -> ReferenceUptake:
    """Return uptake in the middle of the common iliac vessels."""
    inside = np.zeros(fine.shape, dtype=bool)
    for name, field in vessels.items():
        if "Iliac_Cmn" in name:
            inside[field.region] |= field.sdf < -2.0
    share = inside.reshape(fine.shape[0], fine.shape[1] // 2, 2, fine.shape[2] // 2, 2).mean(
        (2, 4)
    )
    values = suv[share >= 0.75]
    return ReferenceUptake("blood pool", float(values.mean()), float(values.std()), values.size)


def scaled(image: Image, who: Patient) -> Image:
    """Return an image of a larger or smaller body, mirrored for a lesion on the left."""
    grid, values = image.grid, image.values
    if who.side == "L":
        values = values[:, :, ::-1]
        grid = replace(grid, origin_mm=(-grid.end_mm[0], *grid.origin_mm[1:]))
    origin = tuple(who.scale * v for v in grid.origin_mm)
    spacing = tuple(who.scale * s for s in grid.spacing_mm)
    return replace(image, values=values, grid=Grid(grid.shape, origin, spacing, FRAME))


def scaled_mask(mask: Mask, who: Patient) -> Mask:
    """Return a mask likewise."""
    image = scaled(Image(mask.fraction, mask.grid, Modality.CT, ImageUnit.ARBITRARY), who)
    return replace(mask, fraction=image.values, grid=image.grid)


def measured(
    name: str, path: NervePath, images: tuple[Image, Image], structure: object | None
) -> NerveMeasurement:
    """Return a root measured along a path."""
    ct, pet = images
    caliber = measure_caliber(ct, path, CT_RESOLUTION)
    sd_mm = load_table("nerve_rules")["contoured_diameter"]["sd_mm"]
    if structure is not None:
        caliber = fill_from_contours(caliber, structure, sd_mm=sd_mm)
    normal = normal_root(name[:2])
    uptake = measure_uptake(pet, caliber, PET_RESOLUTION, otherwise=(normal.mean_mm, normal.sd_mm))
    return NerveMeasurement(name, caliber, uptake)


def examine(who: Patient) -> dict[str, object]:
    """Return what is called of each root, along contours and along clicks."""
    ct, pet, masks, blood = scans(who)
    sides = {"L": "R", "R": "L"}
    found: dict[str, dict[str, NerveMeasurement]] = {"contours": {}, "clicks": {}}
    rng = np.random.default_rng([who.seed, 12])
    for drawn, mask in masks.items():
        name = drawn if who.side != "L" else drawn[:-1] + sides[drawn[-1]]
        structure = contours_from_mask(mask.fraction, mask.grid, name=name, kind=mask.kind)
        path = path_from_structure(structure, name=name)
        found["contours"][name] = measured(name, path, (ct, pet), structure)
        n_clicks = max(3, round(path.length_mm / CLICKS_EVERY_MM))
        clicks = path.at(np.linspace(6, path.length_mm - 6, n_clicks)) + rng.normal(
            0, 0.7, (n_clicks, 3)
        )
        try:
            path = track_path(ct, clicks, name=name)
        except InputError:
            continue
        found["clicks"][name] = measured(name, path, (ct, pet), None)
    calls: dict[str, object] = {
        "seed": who.seed,
        "side": who.side,
        "suv": who.suv,
        "scale": who.scale,
    }
    for how, of in found.items():
        for name, measurement in of.items():
            other = of.get(name[:-1] + sides[name[-1]])
            call = compare_sides(measurement, other, (blood,))
            calls[f"{how} {name}"] = [
                call.is_thick, call.is_avid, call.is_flagged,
                round(call.diameter.value, 2), round(call.uptake.value, 2),
            ]  # fmt: skip
    return calls


def table(rows: list[dict[str, object]]) -> list[str]:
    """Return the table of calls."""
    lines = [
        f"{len(rows)} patients: " + ", ".join(
            f"{sum(r['side'] == s for r in rows)} {what}"
            for s, what in (("R", "with a right"), ("L", "with a left"), ("", "without a lesion"))
        ) + " (L5 and S1 thickened to 8.5 to 10.4 mm, SUV 2.5 to 7).",
        "",
        "| path | root | thick | avid | flagged | normal roots thick | avid | flagged |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for how in ("contours", "clicks"):
        for root in ROOTS:
            sick, well = [], []
            for row in rows:
                for side in "LR":
                    is_sick = row["side"] == side and root != "L4"
                    call = row.get(f"{how} {root}_{side}", [False] * 3)
                    (sick if is_sick else well).append(call[:3])
            cells = [*_shares(sick), *_shares(well)]
            lines.append(f"| {how} | {root} | " + " | ".join(cells) + " |")
    return lines


def _shares(calls: list[list[bool]]) -> list[str]:
    return [f"{sum(c[n] for c in calls)} of {len(calls)}" if calls else "-" for n in range(3)]


def main() -> None:
    """Examine, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    out: Path | None = arguments.out
    rows = json.loads(out.read_text()) if out is not None and out.exists() else []
    for seed in range(len(rows), arguments.n):
        rows.append(examine(patient(seed)))
        print(rows[-1], flush=True)
        if out is not None:
            out.write_text(json.dumps(rows, default=bool))
    print("\n".join(table(rows)))


if __name__ == "__main__":
    main()
