"""How much of a true earlier dose the band of a paper record holds, on the demo's first course.

The demo's first course (IMRT, 55 and 45 Gy in 25) has a dose. Here it is forgotten and planned
again from what a letter might say; both are compared on the first CT, so that neither
registration nor another anatomy enters. The truth was calculated with the engine that the band is
made with: the comparison shows what open fields and stated margins miss of an IMRT plan, not what
another machine or engine would add. Prints a table for each way in which the record may be
incomplete::

    python tools/validation/reconstruction.py DEMO_CASE [--voxel-mm 6]
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from rerad.accumulation import map_dose
from rerad.case.load import load_case
from rerad.core import Dose, Mask, RigidTransform, StructureSet
from rerad.evaluation import dvh, evaluate_metric
from rerad.planning import (
    MediumSettings,
    PriorInput,
    dose_grid_for,
    external_of,
    make_medium,
    rasterize_all,
)
from rerad.planning.reconstruct import (
    BOX_DEG,
    OPPOSED_DEG,
    DoseBand,
    EngineSetup,
    TreatedRegion,
    add_parts,
    reconstruct_course,
)

RING_DEG = tuple(float(angle) for angle in range(0, 360, 40))
"""Nine evenly spaced fields: what "IMRT" most often means on paper."""

RECORDS: Mapping[str, tuple[tuple[tuple[float, ...], ...], tuple[float, float], float, bool]] = {
    "technique and boost known": ((RING_DEG,), (5.0, 15.0), 5.0, True),
    "technique unknown": ((BOX_DEG, OPPOSED_DEG, RING_DEG), (5.0, 15.0), 5.0, True),
    "boost forgotten": ((BOX_DEG, OPPOSED_DEG, RING_DEG), (5.0, 15.0), 5.0, False),
    "taken for a box, no uncertainty": ((BOX_DEG,), (10.0, 10.0), 0.0, True),
}
"""Techniques that are not excluded, margins, uncertainty of place, whether the boost is known."""

SEEN_GY = 5.0
"""Voxels that truly had more are counted."""


def band_of(
    prior: PriorInput, setup: EngineSetup, masks: Mapping[str, Mask], name: str
) -> DoseBand:
    """Plan the course again from one record."""
    angles, margins, place_mm, has_boost = RECORDS[name]
    levels = [("PTV_4500", 45.0), ("PTV_5500", 10.0)] if has_boost else [("PTV_4500", 45.0)]
    parts = [
        reconstruct_course(
            prior.course,
            TreatedRegion(masks[region], gy, angles, margins, place_mm, "letter"),
            setup,
        )
        for region, gy in levels
    ]
    return add_parts(parts)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=Path, help="case folder of the demo")
    parser.add_argument("--voxel-mm", type=float, default=6.0)
    words = parser.parse_args()
    loaded = load_case(words.case)
    (prior,) = loaded.inputs.priors
    structures, image, dose = prior.study.structures, prior.study.image, prior.study.dose
    body = external_of(structures)
    grid = dose_grid_for(image, body, words.voxel_mm)
    masks = rasterize_all(structures, grid)
    drawn = StructureSet(structures.label, (body,))
    settings = MediumSettings(loaded.medium.curve)
    medium = make_medium(image, drawn, masks[body.name], grid, settings)
    grid = medium.patient.grid
    machine, position = loaded.inputs.machine, image.patient_position
    setup = EngineSetup(medium.density, grid, machine, position)
    truth = map_dose(dose, RigidTransform.identity(grid.frame_uid), grid)
    seen = (truth.values > SEEN_GY) & (masks[body.name].on(grid) > 0.99)
    organs = [
        item.name
        for item in structures.structures
        if item.name in masks and not item.kind.is_target and item.name != body.name
    ]
    for name in RECORDS:
        band = band_of(prior, setup, masks, name)
        print_table(name, truth, band, seen, (masks, organs))


def print_table(
    name: str,
    truth: Dose,
    band: DoseBand,
    seen: np.ndarray,
    drawn: tuple[Mapping[str, Mask], list[str]],
) -> None:
    """Print coverage of the body, then truth, best estimate and bound of each organ."""
    masks, organs = drawn
    over = truth.values - band.upper.values
    inside = 100.0 * np.mean(over[seen] <= 0)
    missed = over[seen & (over > 0)]
    worst = np.percentile(missed, 95) if missed.size else 0.0
    off = np.abs(band.best.values - truth.values)[seen]
    print(f"\n### {name}\n")
    print(
        f"Voxels above {SEEN_GY:g} Gy: {inside:.1f} % within the bound; where not, 95 % by less "
        f"than {worst:.1f} Gy. Best estimate off by {np.median(off):.1f} Gy (median).\n"
    )
    print("| organ | true D0.1cc | best | bound | within the bound, % of voxels |")
    print("|---|---|---|---|---|")
    for organ in organs:
        mask = masks[organ]
        values = [
            evaluate_metric("D0.1cc", dvh(item, mask)) for item in (truth, band.best, band.upper)
        ]
        within = mask.on(truth.grid) > 0.5
        known = within & ~np.isnan(truth.values)
        share = 100.0 * np.mean(over[known] <= 0) if known.any() else np.nan
        cells = " | ".join(f"{value:.1f}" for value in values)
        print(f"| {organ} | {cells} | {share:.0f} |")


if __name__ == "__main__":
    main()
