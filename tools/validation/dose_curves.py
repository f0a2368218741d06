"""Draw the dose engines beside Monte Carlo slabs, and a machine beside what was measured.

Makes the figures and the table of ``docs/validation.md`` (the part between its two markers)::

    python tools/validation/dose_curves.py
    python tools/validation/dose_curves.py --measured FILE.mcc --field 100x100 --ssd 900

The references in ``tests/reference/data/montecarlo`` are made by ``run_slab_montecarlo.py``.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

mpl.use("Agg")

import matplotlib.pyplot as plt

from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    Grid,
    Image,
    ImageUnit,
    Machine,
    Modality,
    PatientPosition,
)
from rerad.dosecalc import ConeDoseSettings, beam_dose, cone_beam_dose, load_machine
from rerad.dosecalc.cone_dose import gy_per_unit
from rerad.dosecalc.pencil_kernel import derive_pencil_kernel
from rerad.dosecalc.spectrum import ali_rogers_spectrum

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "reference" / "data" / "montecarlo"
IMAGES = ROOT / "docs" / "images"
PAGE = ROOT / "docs" / "validation.md"
START, END = "<!-- dose curves: start -->", "<!-- dose curves: end -->"
SPACING_MM = 2.5
HFS = PatientPosition.HFS


def main() -> None:
    """Draw what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measured", type=Path, help=".mcc or .csv to draw instead")
    parser.add_argument("--machine", default="agility_like_6mv")
    parser.add_argument("--field", default="100x100")
    parser.add_argument("--ssd", type=float, default=900.0)
    arguments = parser.parse_args()
    if arguments.measured is not None:
        draw_measured(arguments)
    else:
        draw_slabs()


def point_source_machine(name: str) -> Machine:
    """The references' beam: a point source of one spectrum, no head, sharp jaws."""
    generic = load_machine("generic_6mv")
    spectrum = ali_rogers_spectrum(name)
    flat = np.ones_like(generic.beam.off_axis_ratio)
    beam = replace(
        generic.beam,
        spectrum=spectrum,
        kernel=derive_pencil_kernel(spectrum),
        off_axis_ratio=flat,
        off_axis_depth_scale=flat,
        focal_sigma_mm=(0.0, 0.0),
        head_scatter=replace(generic.beam.head_scatter, share=0.0),
        electrons=replace(generic.beam.electrons, surface_share=0.0),
    )
    return replace(generic, jaw_transmission=0.0, beam=beam)


def slab_density(reference: dict[str, Any]) -> Image:
    """Layers on voxels below y = 0."""
    n = int(np.ceil((0.675 * reference["field_mm"] + 100.0) / SPACING_MM))
    fine = np.ones(3500)
    top = 0.0
    for thickness, density in reference["layers_mm_g_cm3"]:
        fine[round(10 * top) : round(10 * (top + thickness))] = density
        top += thickness
    layers = fine.reshape(-1, round(10 * SPACING_MM)).mean(axis=1).astype(np.float32)
    origin = (-n * SPACING_MM, 0.5 * SPACING_MM, -n * SPACING_MM)
    grid = Grid((2 * n + 1, len(layers), 2 * n + 1), origin, (SPACING_MM,) * 3, "1.2.3")
    values = np.ascontiguousarray(np.broadcast_to(layers[None, :, None], grid.shape))
    return Image(values, grid, Modality.CT, ImageUnit.DENSITY)


def axis_doses(
    machine: Machine, reference: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Collapsed cone and pencil beam at the depths of the reference, per energy fluence."""
    density = slab_density(reference)
    half = 0.5 * reference["field_mm"]
    leaves = np.tile([[-150.0], [150.0]], (1, machine.mlc.n_leaf_pairs))
    points = tuple(ControlPoint(w, (-half, half), (-half, half), leaves) for w in (0.0, 1.0))
    beam = Beam(1, BeamGeometry("mc", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0)), points, 1.0)
    dose = cone_beam_dose([beam], machine, density, density.grid, HFS)
    x, y, z = density.grid.axes_mm
    reach_x, reach_z = reference["axis_half_width_mm"]
    column = dose[np.abs(z) <= reach_z][:, :, np.abs(x) < reach_x].mean(axis=(0, 2))
    depth = np.asarray(reference["depth_mm"])
    place = np.stack([0.0 * depth, depth, 0.0 * depth], axis=-1)
    pencil = beam_dose(beam, machine, density, place, HFS)
    unit = gy_per_unit(machine, density.grid.spacing_mm, ConeDoseSettings())
    return np.interp(depth, y, column) / unit, pencil / unit


def draw_slabs() -> None:
    """One panel for each reference, and a table."""
    names = sorted(path.stem for path in DATA.glob("*.json"))
    figure, axes = plt.subplots(3, 3, figsize=(11, 9), sharex=True, layout="constrained")
    rows = [
        "| slab | field (mm) | layers (mm x g/cm³) | collapsed cone, mean (%) | largest of "
        "10 mm bins (%) | noise of a bin (%) | pencil beam, largest (%) |",
        "|---|---|---|---|---|---|---|",
    ]
    machine = point_source_machine("varian-6mv")
    for name, panel in zip(names, axes.flat, strict=False):
        reference = json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))
        cone, pencil = axis_doses(machine, reference)
        rows.append(draw_panel(panel, name, reference, cone, pencil))
    for panel in axes[-1]:
        panel.set_xlabel("depth (mm)")
    for panel in axes[:, 0]:
        panel.set_ylabel("dose (pGy mm²/MeV)")
    axes.flat[0].legend(frameon=False, fontsize=8)
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / "validation_slabs.png", dpi=80)
    print("\n".join(rows))
    replace_between_markers("\n".join(["![slabs](images/validation_slabs.png)", "", *rows]))


def draw_panel(
    panel: Any,
    name: str,
    reference: dict[str, Any],
    cone: NDArray[np.float64],
    pencil: NDArray[np.float64],
) -> str:
    """Draw one slab and return its row of the table."""
    depth, theirs = np.asarray(reference["depth_mm"]), np.asarray(reference["axis"])
    panel.plot(depth, 1e12 * theirs, ".", color="0.6", ms=3, label="Monte Carlo")
    panel.plot(depth, 1e12 * cone, color="tab:blue", label="collapsed cone")
    panel.plot(depth, 1e12 * pencil, color="tab:orange", lw=1, label="pencil beam")
    top = 0.0
    for thickness, density in reference["layers_mm_g_cm3"]:
        if density != 1.0:
            panel.axvspan(top, top + thickness, color="0.92" if density < 1 else "0.8", zorder=-1)
        top += thickness
    panel.set_title(name.replace("_", " "), fontsize=9)
    panel.set_ylim(bottom=0.0)

    def binned(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values[: 4 * (len(values) // 4)].reshape(-1, 4).mean(axis=1)

    used = (binned(depth) > 12.0) & (binned(depth) < 300.0)
    sigma = np.asarray(reference["axis_sigma"])
    noise = 50.0 * np.sqrt(binned(sigma**2)) / binned(theirs)
    off = 100.0 * (binned(cone) / binned(theirs) - 1.0)[used]
    far = 100.0 * (binned(pencil) / binned(theirs) - 1.0)[used]
    layers = ", ".join(f"{t:g} x {d:g}" for t, d in reference["layers_mm_g_cm3"]) or "water"
    return (
        f"| {name} | {reference['field_mm']:g} | {layers} | {off.mean():+.2f} | "
        f"{off[np.abs(off).argmax()]:+.2f} | {noise[used].mean():.2f} | "
        f"{far[np.abs(far).argmax()]:+.1f} |"
    )


def replace_between_markers(text: str) -> None:
    """Put text between the markers of the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, rest = page.split(START)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{START}\n{text}\n{END}{after}", encoding="utf-8")


def draw_measured(arguments: argparse.Namespace) -> None:
    """Commission a machine against one file of scans and keep the plot."""
    from rerad.case.commission import commission_machine
    from rerad.case.commission_outputs import write_commission
    from rerad.case.measured import read_measured
    from rerad.dosecalc import WaterTankSetup

    side_x, side_y = (float(side) for side in arguments.field.split("x"))
    result = commission_machine(
        load_machine(arguments.machine),
        WaterTankSetup(side_x, side_y, arguments.ssd),
        profile_depths_mm=[15.0, 50.0, 100.0, 200.0],
        measured=read_measured(arguments.measured),
    )
    path = IMAGES / f"validation_{Path(arguments.machine).stem}_{arguments.field}.png"
    write_commission(result, csv_path=None, plot_path=path)
    print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
