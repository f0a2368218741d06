"""What can be found of a thickened nerve: errors, sensitivity and false alarms on tubes.

Makes ``docs/images/nerve_*.png`` and the part of ``docs/validation.md`` between its markers::

    python tools/validation/nerve_detection.py            # some minutes on one core
    python tools/validation/nerve_detection.py --quick    # a look, nothing written to docs
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")

import matplotlib.pyplot as plt

from rerad.core import Grid, Image, ImageUnit, Modality, NervePath
from rerad.nerves import (
    CaliberProfile,
    NerveComparison,
    NerveMeasurement,
    ReferenceUptake,
    Resolution,
    compare_sides,
    measure_caliber,
    measure_uptake,
    normal_root,
    path_from_points,
)
from rerad.phantoms.tubes import TubeScan, TubeShape, blurred_tube, tube_grid, tube_noise

ROOT = Path(__file__).parents[2]
IMAGES, PAGE = ROOT / "docs" / "images", ROOT / "docs" / "validation.md"
START, END = "<!-- nerve detection: start -->", "<!-- nerve detection: end -->"
FRAME = "1.2.3"
FAT_HU, NERVE_HU = -100.0, 34.0
CT_FWHM_MM = (1.0, 1.0, 0.0)
PET_FWHM_MM = (4.0, 5.0, 6.0, 7.0)
PET_VOXEL_MM = 3.0
BLOOD = ReferenceUptake("blood pool", 1.6, 0.1, 200)
BACKGROUND_SUV, NORMAL_SUV = 0.5, 0.8
DIAMETERS_MM = (3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0)
HALF_MM = 17.0


@dataclass(frozen=True)
class Plan:
    """How much is tried."""

    n_errors: int = 2
    n_detection: int = 5
    n_normal: int = 60


def ct_grid(slice_mm: float) -> Grid:
    """Return CT voxels of 1 mm in the plane."""
    return tube_grid((1.0, 1.0, slice_mm), (34.0, 34.0, 42.0), FRAME)


def pet_grid() -> Grid:
    """Return PET voxels."""
    return tube_grid((PET_VOXEL_MM,) * 3, (51.0, 51.0, 57.0), FRAME)


def tube(diameter_mm: float) -> TubeShape:
    """Return an oblique, bent tube off the voxel centres."""
    return TubeShape(diameter_mm, 100.0, 35.0, 20.0, (0.3, -0.4, 0.2))


@cache
def clean(
    diameter_mm: float, grid_key: str, fwhm_mm: tuple[float, float, float]
) -> NDArray[np.float32]:
    """Return a tube without noise, kept."""
    grid = pet_grid() if grid_key == "pet" else ct_grid(float(grid_key))
    return blurred_tube(tube(diameter_mm), grid, fwhm_mm)


def scan(signal: NDArray[np.float32], scanned: TubeScan, modality: Modality) -> Image:
    """Return a clean tube with background, contrast and noise."""
    values = scanned.background + scanned.contrast * signal + tube_noise(scanned)
    unit = ImageUnit.HU if modality is Modality.CT else ImageUnit.SUVBW
    return Image(values.astype(np.float32), scanned.grid, modality, unit)


def clicked(shape: TubeShape, seed: int) -> NervePath:
    """Return a path off by some tenths of a millimetre, as a user's is."""
    rng = np.random.default_rng([seed, 5])
    line = shape.centre_line(HALF_MM) + rng.normal(0, 0.5, 3)
    return path_from_points(line, name="L5_R", frame_uid=FRAME)


def caliber(diameter_mm: float, slice_mm: float, noise_hu: float, seed: int) -> CaliberProfile:
    """Return diameters measured on one CT."""
    scanned = TubeScan(
        ct_grid(slice_mm), CT_FWHM_MM, FAT_HU, NERVE_HU - FAT_HU, noise_hu, 0.75, seed
    )
    ct = scan(clean(diameter_mm, f"{slice_mm:g}", CT_FWHM_MM), scanned, Modality.CT)
    return measure_caliber(ct, clicked(tube(diameter_mm), seed), Resolution(CT_FWHM_MM))


def measured(
    found: CaliberProfile, diameter_mm: float, pet: tuple[float, float, float], seed: int
) -> NerveMeasurement:
    """Return a nerve measured on one CT and one PET of (FWHM, SUV, noise)."""
    fwhm_mm, suv, noise = pet
    scanned = TubeScan(
        pet_grid(), (fwhm_mm,) * 3, BACKGROUND_SUV, suv - BACKGROUND_SUV, noise, 0.6, seed + 1000
    )
    image = scan(clean(diameter_mm, "pet", (fwhm_mm,) * 3), scanned, Modality.PET)
    uptake = measure_uptake(image, found, Resolution((fwhm_mm,) * 3, 0.3), otherwise=(5.3, 0.9))
    return NerveMeasurement("L5_R", found, uptake)


def left(of: NerveMeasurement) -> NerveMeasurement:
    """Return a measurement as that of the other side."""
    return replace(of, name="L5_L")


def ct_errors(plan: Plan) -> Iterator[tuple[float, float, float, NDArray[np.float64], float]]:
    """Yield slice, noise, diameter, errors, share measured."""
    for slice_mm in (1.0, 3.0):
        for noise_hu in (8.0, 15.0, 25.0):
            for diameter_mm in DIAMETERS_MM:
                found = [
                    caliber(diameter_mm, slice_mm, noise_hu, seed) for seed in range(plan.n_errors)
                ]
                all_mm = np.concatenate([f.diameter_mm for f in found])
                known = np.isfinite(all_mm)
                yield slice_mm, noise_hu, diameter_mm, all_mm[known] - diameter_mm, known.mean()


def pet_errors(
    plan: Plan,
) -> Iterator[tuple[float, float, float, float, NDArray[np.float64], float]]:
    """Yield FWHM, SUV, noise, diameter, claimed relative errors, share claimed."""
    calibers = {
        d: [caliber(d, 1.0, 15.0, seed) for seed in range(plan.n_errors)] for d in DIAMETERS_MM
    }
    for fwhm_mm in PET_FWHM_MM:
        for suv in (2.0, 4.0, 8.0):
            for noise in (0.05, 0.15):
                for diameter_mm, kept in calibers.items():
                    errors, claims = [], []
                    for seed, found in enumerate(kept):
                        uptake = measured(found, diameter_mm, (fwhm_mm, suv, noise), seed).uptake
                        assert uptake is not None
                        errors.append(uptake.recovered[uptake.is_claimed] / suv - 1)
                        claims.append(uptake.is_claimed.mean())
                    yield fwhm_mm, suv, noise, diameter_mm, np.concatenate(errors), np.mean(claims)


def judged(right: NerveMeasurement, other: NerveMeasurement) -> NerveComparison:
    """Return the comparison with the other side and blood pool."""
    return compare_sides(right, left(other), (BLOOD,))


def sensitivity(plan: Plan) -> dict[tuple[float, float, float], NDArray[np.float64]]:
    """Return, by FWHM, SUV and diameter, the shares called thick, avid and both."""
    normal_mm = 5.3
    lefts = [caliber(normal_mm, 3.0, 15.0, 100 + seed) for seed in range(plan.n_detection)]
    shares = {}
    for diameter_mm in (5.3, 6.0, 7.0, 8.0, 9.0, 10.0):
        rights = [caliber(diameter_mm, 3.0, 15.0, seed) for seed in range(plan.n_detection)]
        for fwhm_mm in (4.0, 7.0):
            for suv in (2.0, 4.0, 6.0):
                calls = []
                for seed, (r, other) in enumerate(zip(rights, lefts, strict=True)):
                    here = measured(r, diameter_mm, (fwhm_mm, suv, 0.1), seed)
                    there = measured(other, normal_mm, (fwhm_mm, NORMAL_SUV, 0.1), seed + 50)
                    call = judged(here, there)
                    calls.append((call.is_thick, call.is_avid, call.is_flagged))
                shares[fwhm_mm, suv, diameter_mm] = np.mean(calls, axis=0)
    return shares


def false_alarms(plan: Plan) -> tuple[NDArray[np.float64], int]:
    """Return shares called thick, avid and both among normal roots of random size."""
    root = normal_root("L5")
    assert root is not None
    rng = np.random.default_rng(3)
    calls = []
    for seed in range(plan.n_normal // 2):
        # The same root left and right is alike: a shared size, and half a millimetre of its own.
        shared = rng.normal(root.mean_mm, root.sd_mm)
        sizes = np.round(np.clip(shared + rng.normal(0, 0.5, 2), 2.5, 9.0) * 2) / 2
        sides = []
        for n, size in enumerate(sizes):
            found = caliber(float(size), 3.0, 15.0, 300 + 2 * seed + n)
            sides.append(measured(found, float(size), (6.0, NORMAL_SUV, 0.1), seed + 500 * n))
        for right, other in (sides, sides[::-1]):
            call = judged(right, other)
            calls.append((call.is_thick, call.is_avid, call.is_flagged))
    return np.mean(calls, axis=0), len(calls)


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few tries, docs untouched")
    is_quick = parser.parse_args().quick
    plan = Plan(1, 2, 8) if is_quick else Plan()
    ct, pet = list(ct_errors(plan)), list(pet_errors(plan))
    found = sensitivity(plan)
    alarms, n_normal = false_alarms(plan)
    text = "\n".join(
        [*ct_table(ct), "", *pet_table(pet), "", *call_table(found, alarms, n_normal)]
    )
    print(text)
    if is_quick:
        return
    draw_errors(ct, pet)
    draw_sensitivity(found, alarms)
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(START)
    PAGE.write_text(
        before + START + "\n" + text + "\n" + END + rest.split(END)[1], encoding="utf-8"
    )


def ct_table(rows: list[tuple[float, float, float, NDArray[np.float64], float]]) -> list[str]:
    """Return the table of diameter errors."""
    head = "| slices | noise | " + " | ".join(f"{d:g} mm" for d in DIAMETERS_MM) + " |"
    lines = [
        "Diameter from CT, 1 mm pixels, nerve in fat: mean error, then the 95th percentile of its "
        "size, mm (share of places measured, where below 100 %).",
        "",
        head,
        "|---" * (2 + len(DIAMETERS_MM)) + "|",
    ]
    keys = sorted({(r[0], r[1]) for r in rows})
    for slice_mm, noise in keys:
        cells = []
        for _, _, _, errors, share in (r for r in rows if (r[0], r[1]) == (slice_mm, noise)):
            cell = f"{errors.mean():+.2f}, {np.percentile(np.abs(errors), 95):.2f}"
            cells.append(cell if share > 0.995 else f"{cell} ({100 * share:.0f} %)")
        lines.append(f"| {slice_mm:g} mm | {noise:g} HU | " + " | ".join(cells) + " |")
    worst = max(np.abs(r[3]).max() for r in rows if r[2] >= 5.0)
    lines += ["", f"Largest single error of a tube of at least 5 mm: {worst:.2f} mm."]
    return lines


def pet_table(
    rows: list[tuple[float, float, float, float, NDArray[np.float64], float]],
) -> list[str]:
    """Return the table of recovered uptake."""
    lines = [
        "Recovered SUV where claimed: largest relative error, % (share of places claimed, %), "
        f"over SUV 2, 4 and 8 on {BACKGROUND_SUV:g}; point spread true, its SD given as 0.3 mm.",
        "",
        "| FWHM | noise | " + " | ".join(f"{d:g} mm" for d in DIAMETERS_MM) + " |",
        "|---" * (2 + len(DIAMETERS_MM)) + "|",
    ]
    for fwhm_mm, noise in sorted({(r[0], r[2]) for r in rows}):
        cells = []
        for d in DIAMETERS_MM:
            chosen = [r for r in rows if (r[0], r[2], r[3]) == (fwhm_mm, noise, d)]
            errors = np.concatenate([r[4] for r in chosen])
            share = 100 * np.mean([r[5] for r in chosen])
            cells.append(
                f"{100 * np.abs(errors).max():.0f} ({share:.0f})" if len(errors) else "not claimed"
            )
        lines.append(f"| {fwhm_mm:g} mm | {noise:g} | " + " | ".join(cells) + " |")
    errors = np.concatenate([r[4] for r in rows])
    share = 100 * np.mean(np.abs(errors) <= 0.15)
    lines += ["", f"Of {len(errors)} claims {share:.1f} % are within 15 %."]
    return lines


def call_table(
    found: dict[tuple[float, float, float], NDArray[np.float64]],
    alarms: NDArray[np.float64],
    n_normal: int,
) -> list[str]:
    """Return the table of calls."""
    sizes = sorted({key[2] for key in found})
    lines = [
        "Share called thick / avid / both (= flagged), %, against a normal left root of 5.3 mm; "
        "CT 3 mm slices, 15 HU; PET noise 0.1.",
        "",
        "| FWHM | SUV | " + " | ".join(f"{d:g} mm" for d in sizes) + " |",
        "|---" * (2 + len(sizes)) + "|",
    ]
    for fwhm_mm, suv in sorted({key[:2] for key in found}):
        cells = [" / ".join(f"{100 * v:.0f}" for v in found[fwhm_mm, suv, d]) for d in sizes]
        lines.append(f"| {fwhm_mm:g} mm | {suv:g} | " + " | ".join(cells) + " |")
    rates = " / ".join(f"{100 * v:.0f}" for v in alarms)
    lines += [
        "",
        f"False alarms among {n_normal} normal L5 roots (diameters from the table's mean and SD, "
        f"sides alike to 0.5 mm, SUV {NORMAL_SUV:g}): {rates} %.",
    ]
    return lines


def draw_errors(
    ct: list[tuple[float, float, float, NDArray[np.float64], float]],
    pet: list[tuple[float, float, float, float, NDArray[np.float64], float]],
) -> None:
    """Draw errors of diameter and of uptake over the diameter."""
    figure, (a, b) = plt.subplots(1, 2, figsize=(7, 2.7), layout="constrained")
    for slice_mm, line in ((1.0, "-"), (3.0, "--")):
        for noise, color in ((8.0, "#1f5a8a"), (15.0, "#b7791f"), (25.0, "#b3261e")):
            rows = [r for r in ct if (r[0], r[1]) == (slice_mm, noise)]
            high = [np.percentile(np.abs(r[3]), 95) for r in rows]
            label = f"{slice_mm:g} mm slices, {noise:g} HU"
            a.plot([r[2] for r in rows], high, line, color=color, label=label, lw=1)
    a.axhline(0.7, color="#5b6775", lw=0.6)
    a.set(xlabel="true diameter, mm", ylabel="95th percentile of |error|, mm", ylim=(0, 1))
    a.legend(fontsize=5.5, frameon=False)
    for fwhm_mm, color in zip(
        PET_FWHM_MM, ("#1f5a8a", "#009e73", "#b7791f", "#b3261e"), strict=True
    ):
        share = [
            100 * np.mean([r[5] for r in pet if (r[0], r[3]) == (fwhm_mm, d)])
            for d in DIAMETERS_MM
        ]
        b.plot(DIAMETERS_MM, share, color=color, lw=1, label=f"FWHM {fwhm_mm:g} mm")
    b.set(xlabel="true diameter, mm", ylabel="places with claimed SUV, %", ylim=(-2, 102))
    b.legend(fontsize=6, frameon=False)
    _save(figure, "nerve_errors.png")


def draw_sensitivity(
    found: dict[tuple[float, float, float], NDArray[np.float64]], alarms: NDArray[np.float64]
) -> None:
    """Draw the share of roots called, over the diameter."""
    figure, panels = plt.subplots(1, 3, figsize=(7, 2.5), layout="constrained", sharey=True)
    sizes = sorted({key[2] for key in found})
    for n, (axes, what) in enumerate(zip(panels, ("thick", "avid", "flagged"), strict=True)):
        for (fwhm_mm, suv), color in zip(
            sorted({key[:2] for key in found}),
            ("#9ec5e8", "#4b8fc4", "#1f5a8a", "#f0b48a", "#d9713a", "#b3261e"),
            strict=True,
        ):
            values = [100 * found[fwhm_mm, suv, d][n] for d in sizes]
            axes.plot(sizes, values, color=color, lw=1, label=f"FWHM {fwhm_mm:g} mm, SUV {suv:g}")
        axes.axhline(100 * alarms[n], color="#5b6775", lw=0.7, ls=":", label="normal roots")
        axes.set(title=f"called {what}", xlabel="true diameter, mm", ylim=(-3, 103))
        axes.title.set_fontsize(8)
    panels[0].set_ylabel("share of roots, %")
    panels[2].legend(fontsize=5.5, frameon=False)
    _save(figure, "nerve_sensitivity.png")


def _save(figure: plt.Figure, name: str) -> None:
    for axes in figure.axes:
        axes.tick_params(labelsize=6.5)
        axes.xaxis.label.set_size(7)
        axes.yaxis.label.set_size(7)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.savefig(IMAGES / name, dpi=170)


if __name__ == "__main__":
    main()
