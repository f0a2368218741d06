"""How the cost of the dose engines grows with voxels, beams and beamlets.

Command, from a checkout after `make environment`::

    NUMBA_NUM_THREADS=2 .venv/bin/python benchmarks/bench_scaling.py --out FOLDER

A water cylinder (360 x 240 mm across, 200 mm long) with a rod of lung and one of bone, beams all
around it. One thing is varied at a time. Writes FOLDER/scaling_operator.png and
FOLDER/scaling_collapsed_cone.png, and prints every point. The median of `--repeats` calls after
one untimed call is shown; `--json` keeps all of them. Slopes are fitted to log time against log
size over the larger half of the sizes, where fixed costs matter less.
`--clock cpu` shows processor time of all threads instead, which a loaded machine disturbs less.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

VOXEL_SPACINGS_MM = (8.0, 6.0, 5.0, 4.0, 3.0, 2.5)
BEAM_COUNTS = (1, 2, 4, 9, 16, 25)
FIELD_SIDES_MM = (30.0, 50.0, 80.0, 120.0, 180.0, 250.0)
CONE_SPACINGS_MM = (8.0, 6.0, 5.0, 4.0, 3.0)
CONE_BEAM_COUNTS = (1, 2, 4, 9)
N_BEAMS, SPACING_MM, SIDE_MM, BIXEL_MM = 9, 5.0, 100.0, 5.0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder for the plots")
    parser.add_argument("--machine", default="generic_6mv")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cone-repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write all times to this file")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--only", choices=("operator", "collapsed_cone"))
    parser.add_argument(
        "--coarse", action="store_true", help="leave out the largest sizes, for a first look"
    )
    return parser.parse_args()


def phantom(spacing_mm: float):
    """Return the phantom as an image of density, and the voxels inside it."""
    from rerad.core import Grid, Image, ImageUnit, Modality

    box = np.array([200.0, 240.0, 360.0]) + 2 * spacing_mm
    shape = tuple(int(np.ceil(length / spacing_mm)) for length in box)
    origin = tuple(-0.5 * (n - 1) * spacing_mm for n in shape[::-1])
    grid = Grid(shape, origin, (spacing_mm,) * 3, "1.2.3")
    x, y, z = grid.axes_mm
    body = (x / 180.0) ** 2 + (y[:, None] / 120.0) ** 2 <= 1.0
    plane = np.where(body, 1.0, 0.001)
    plane[np.hypot(x + 100.0, y[:, None]) < 30.0] = 0.26
    plane[np.hypot(x - 100.0, y[:, None]) < 20.0] = 1.6
    inside = (np.abs(z) <= 100.0)[:, None, None] & body
    values = np.where(inside, plane, 0.001).astype(np.float32)
    return Image(values, grid, Modality.CT, ImageUnit.DENSITY), np.flatnonzero(inside)


def geometries(n_beams: int):
    """Return beams spread evenly around the phantom."""
    from rerad.core import BeamGeometry

    return [
        BeamGeometry(f"B{n + 1}", 360.0 * n / n_beams, 0.0, 0.0, (0.0, 0.0, 0.0))
        for n in range(n_beams)
    ]


def square_bixels(geometry, side_mm: float):
    """Return a square field of beamlets."""
    from rerad.core import BixelGrid

    n = round(side_mm / BIXEL_MM)
    edges = BIXEL_MM * (np.arange(n + 1) - 0.5 * n)
    return BixelGrid(geometry, edges, edges, np.ones((n, n), dtype=bool))


def open_beam(machine, geometry, side_mm: float):
    """Return a static square field of 100 MU."""
    from rerad.core import Beam, ControlPoint

    half = 0.5 * side_mm
    leaves = np.tile([[-half - 20.0], [half + 20.0]], (1, machine.mlc.n_leaf_pairs))
    points = tuple(ControlPoint(w, (-half, half), (-half, half), leaves) for w in (0.0, 1.0))
    return Beam(1, geometry, points, 100.0)


def seconds_of(call: Callable[[], object], repeats: int) -> dict[str, list[float]]:
    """Return wall and processor seconds of `repeats` calls after an untimed one."""
    seconds: dict[str, list[float]] = {"wall": [], "cpu": []}
    for _ in range(repeats + 1):
        start, cpu = time.perf_counter(), time.process_time()
        call()
        seconds["cpu"].append(time.process_time() - cpu)
        seconds["wall"].append(time.perf_counter() - start)
    return {clock: values[1:] for clock, values in seconds.items()}


def operator_point(machine, spacing_mm: float, n_beams: int, side_mm: float, repeats: int) -> dict:
    """Time the operator once."""
    from rerad.core import PatientPosition
    from rerad.dosecalc import build_operator

    density, voxels = phantom(spacing_mm)
    bixels = [square_bixels(geometry, side_mm) for geometry in geometries(n_beams)]

    def build():
        return build_operator(machine, density, voxels, density.grid, bixels, PatientPosition.HFS)

    setup_s = seconds_of(build, max(1, repeats // 2))
    operator = build()
    x = np.random.default_rng(1).uniform(size=operator.n_beamlets)

    def there_and_back() -> None:
        operator.adjoint(operator.forward(x))

    return {
        "n_voxels": len(voxels),
        "n_beams": n_beams,
        "n_beamlets": operator.n_beamlets,
        "set-up": setup_s,
        "forward and adjoint": seconds_of(there_and_back, 3 * repeats),
        "megabytes": operator.n_bytes / 1e6,
        "load": os.getloadavg()[0],
    }


def cone_point(machine, spacing_mm: float, n_beams: int, side_mm: float, repeats: int) -> dict:
    """Time the collapsed cone once, ring fits and calibration excluded (they are kept)."""
    from rerad.core import PatientPosition
    from rerad.dosecalc import cone_beam_dose

    density, voxels = phantom(spacing_mm)
    beams = [open_beam(machine, geometry, side_mm) for geometry in geometries(n_beams)]

    def calculate():
        return cone_beam_dose(beams, machine, density, density.grid, PatientPosition.HFS)

    return {
        "n_voxels": density.grid.n_voxels,
        "n_voxels_body": len(voxels),
        "n_beams": n_beams,
        "dose": seconds_of(calculate, repeats),
        "load": os.getloadavg()[0],
    }


def sweeps(arguments: argparse.Namespace, machine) -> dict[str, dict[str, list[dict]]]:
    """Vary one thing at a time."""
    cut = slice(None, -1 if arguments.coarse else None)
    found: dict[str, dict[str, list[dict]]] = {}
    if arguments.only != "collapsed_cone":
        repeats = arguments.repeats
        found["operator"] = {
            "voxels": [
                operator_point(machine, h, N_BEAMS, SIDE_MM, repeats)
                for h in VOXEL_SPACINGS_MM[cut]
            ],
            "beams": [
                operator_point(machine, SPACING_MM, n, SIDE_MM, repeats) for n in BEAM_COUNTS[cut]
            ],
            "beamlets": [
                operator_point(machine, SPACING_MM, N_BEAMS, side, repeats)
                for side in FIELD_SIDES_MM[cut]
            ],
        }
    if arguments.only != "operator":
        repeats = arguments.cone_repeats
        found["collapsed_cone"] = {
            "voxels": [cone_point(machine, h, 1, SIDE_MM, repeats) for h in CONE_SPACINGS_MM[cut]],
            "beams": [
                cone_point(machine, SPACING_MM, n, SIDE_MM, repeats) for n in CONE_BEAM_COUNTS[cut]
            ],
        }
    return found


def slope(sizes: Sequence[float], seconds: Sequence[float]) -> tuple[float, float]:
    """Return exponent and log factor fitted over the larger half of the sizes."""
    first = len(sizes) // 2 if len(sizes) > 3 else 0
    exponent, factor = np.polyfit(np.log(sizes[first:]), np.log(seconds[first:]), 1)
    return float(exponent), float(factor)


FIXED = {
    "operator": {
        "voxels": f"{N_BEAMS} beams, {N_BEAMS * 400} beamlets",
        "beams": f"{SPACING_MM:g} mm voxels, 400 beamlets each",
        "beamlets": f"{N_BEAMS} beams, {SPACING_MM:g} mm voxels",
    },
    "collapsed_cone": {
        "voxels": f"1 field of {SIDE_MM / 10:g} x {SIDE_MM / 10:g} cm",
        "beams": f"{SPACING_MM:g} mm voxels, {SIDE_MM / 10:g} x {SIDE_MM / 10:g} cm",
    },
}
TITLES = {"operator": "Matrix-free operator", "collapsed_cone": "Collapsed cone"}
AXES = {"voxels": "voxels", "beams": "beams", "beamlets": "beamlets of all beams"}
COLOURS = {"set-up": "#0b5394", "forward and adjoint": "#b45309", "dose": "#0b5394"}


def plot(engine: str, series: dict[str, list[dict]], path: Path, clock: str, note: str) -> None:
    """Draw time against each size, both logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    figure, axes = pyplot.subplots(1, len(series), figsize=(4.0 * len(series), 3.9), sharey=True)
    for axis, (kind, points) in zip(axes, series.items(), strict=True):
        sizes = [point[f"n_{kind}"] for point in points]
        for name, colour in COLOURS.items():
            if name not in points[0]:
                continue
            seconds = [float(np.median(point[name][clock])) for point in points]
            exponent, factor = slope(sizes, seconds)
            first = sizes[len(sizes) // 2 if len(sizes) > 3 else 0]
            line = np.array([first, sizes[-1]], dtype=float)
            axis.plot(sizes, seconds, "o", color=colour, label=f"{name}, slope {exponent:.2f}")
            axis.plot(line, np.exp(factor) * line**exponent, "-", color=colour, linewidth=1.2)
        axis.set(xscale="log", yscale="log", xlabel=AXES[kind])
        axis.set_title(FIXED[engine][kind], fontsize=9)
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}".replace(",", " ")))
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.tick_params(axis="x", labelsize=8)
        axis.grid(visible=True, which="major", color="0.85", linewidth=0.6)
        axis.legend(fontsize=8, loc="best", frameon=True)
    axes[0].set_ylabel({"wall": "time in s", "cpu": "processor time in s"}[clock])
    axes[0].yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes[0].yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes[0].yaxis.set_minor_formatter(NullFormatter())
    figure.suptitle(f"{TITLES[engine]}: time of one run ({note})", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def main() -> None:
    """Measure, print, draw."""
    import numba

    from rerad.dosecalc import load_machine

    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    machine = load_machine(arguments.machine)
    load_before = os.getloadavg()[0]
    found = sweeps(arguments, machine)
    loads = [
        point["load"] for series in found.values() for part in series.values() for point in part
    ]
    note = (
        f"threads: {numba.get_num_threads()}, load average {min([load_before, *loads]):.1f} to "
        f"{max([load_before, *loads]):.1f}"
    )
    for engine, series in found.items():
        for kind, points in series.items():
            print(f"{TITLES[engine]}, {kind} ({FIXED[engine][kind]}); {note}")
            for name in COLOURS:
                if name in points[0]:
                    sizes = [point[f"n_{kind}"] for point in points]
                    medians = [float(np.median(point[name][arguments.clock])) for point in points]
                    text = "  ".join(f"{n}: {s:.4g}" for n, s in zip(sizes, medians, strict=True))
                    print(f"  {name:20s} slope {slope(sizes, medians)[0]:.2f}; s: {text}")
            if "megabytes" in points[0]:
                print("  MB: " + "  ".join(f"{point['megabytes']:.1f}" for point in points))
        plot(engine, series, arguments.out / f"scaling_{engine}.png", arguments.clock, note)
    if arguments.json:
        arguments.json.write_text(json.dumps({"note": note, "points": found}))


if __name__ == "__main__":
    main()
