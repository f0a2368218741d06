"""Time the collapsed cone: nine open 10 cm fields on the digital pelvis.

Command, from a checkout after `make environment`::

    NUMBA_NUM_THREADS=2 .venv/bin/python benchmarks/bench_collapsed_cone.py

The density of the digital pelvis is resampled to cubic voxels (3 mm by default) around the
body. One untimed field compiles or loads the loops; ring fits are timed apart. Printed are wall
and processor seconds of the nine fields together, of a field's parts, the largest memory of the
process before and after, and the load of the machine, because a busy machine shows longer times.
"""

import argparse
import json
import os
import resource
import sys
import time
from dataclasses import replace

import numpy as np


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machine", default="generic_6mv")
    parser.add_argument("--spacing-mm", type=float, default=3.0)
    parser.add_argument("--side-mm", type=float, default=100.0)
    parser.add_argument("--fields", type=int, default=9)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--coarsening", type=int, help="of the scatter voxels")
    return parser.parse_args()


def pelvis(spacing_mm: float):
    """Density of the digital pelvis on cubic voxels over its body."""
    from rerad.imaging import density_from_hu, load_hounsfield_curve, resample_image
    from rerad.phantoms import PelvisVisit, make_pelvis

    ct = make_pelvis(PelvisVisit.first("1.2.3"), seed=1).ct
    density = density_from_hu(ct, load_hounsfield_curve("water_linear"))
    dense = np.asarray(density.values) > 0.2
    index = [np.nonzero(dense.any(axis=tuple(n for n in range(3) if n != a)))[0] for a in range(3)]
    start = tuple(max(int(n[0]) - 2, 0) for n in index)
    stop = tuple(min(int(n[-1]) + 3, size) for n, size in zip(index, dense.shape, strict=True))
    grid = density.grid.crop(start, stop).with_spacing((spacing_mm,) * 3)
    return resample_image(density, grid, outside=0.0)


def peak_mb() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def main() -> None:
    """Run and print."""
    arguments = parse()
    from rerad.core import BeamGeometry, PatientPosition
    from rerad.dosecalc import load_machine
    from rerad.dosecalc.collapsed_cone import collapsed_cone_dose
    from rerad.dosecalc.cone_kernels import ConeSettings, cone_kernels
    from rerad.dosecalc.raster import Raster

    machine = load_machine(arguments.machine)
    settings = ConeSettings()
    if arguments.coarsening is not None:
        settings = replace(settings, scatter_coarsening=arguments.coarsening)
    begun = time.perf_counter()
    kernels = cone_kernels(machine.beam.spectrum, settings)
    fits_s = time.perf_counter() - begun
    density = pelvis(arguments.spacing_mm)
    n = int(arguments.side_mm / 2)
    raster = Raster(1.0, -n, -n, 2 * n, 2 * n)
    photons = np.ones((2 * n, 2 * n))
    centre = 0.5 * (np.asarray(density.grid.origin_mm) + np.asarray(density.grid.end_mm))

    def field(number: int) -> None:
        angle = 360.0 * number / arguments.fields
        geometry = BeamGeometry(f"F{number}", angle, 0.0, 0.0, tuple(centre))
        collapsed_cone_dose(
            photons,
            raster,
            geometry,
            machine,
            density,
            density.grid,
            PatientPosition.HFS,
            kernels,
            settings,
        )

    before = peak_mb()
    field(0)
    wall, cpu = [], []
    for _ in range(arguments.repeats):
        clock, used = time.perf_counter(), time.process_time()
        for number in range(arguments.fields):
            field(number)
        wall.append(time.perf_counter() - clock)
        cpu.append(time.process_time() - used)
    report = {
        "voxels": density.grid.n_voxels,
        "shape": density.grid.shape,
        "fields": arguments.fields,
        "threads": os.environ.get("NUMBA_NUM_THREADS", "all"),
        "wall_s": [round(v, 2) for v in wall],
        "cpu_s": [round(v, 2) for v in cpu],
        "ring_fits_s": round(fits_s, 2),
        "peak_mb_before_and_after": [round(before), round(peak_mb())],
        "load": [round(v, 1) for v in os.getloadavg()],
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
