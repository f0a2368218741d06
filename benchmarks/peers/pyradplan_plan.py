"""Let pyRadPlan 0.5.0 plan the TG-119 C-shape from CT to dose, and keep its influence matrix.

This runs inside the peer's own environment (see benchmarks/README.md); normally
`benchmarks/bench_peer_plan.py` starts it. Command::

    PYTHON benchmarks/peers/pyradplan_plan.py --grid 5 --out FOLDER

Beams, objectives, kernels and voxels are those of `pyradplan_tg119.py`. Timed are, with the peer's
own functions and default settings: beamlets, influence matrix, optimisation of the fluence until
its solver stops (SciPy's L-BFGS-B), and the dose on the CT grid. Written are `plan.json` (times,
objective after each evaluation), `plan.npz` (what `bench_operator.py` needs of the case, the
fluence) and `matrix.npz` (the influence matrix).
"""

import argparse
import json
import os
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from pyradplan_tg119 import (
    GANTRY_DEG,
    beam_arrays,
    load_case,
    make_engine,
    peak_rss_mb,
    structures_of,
    traced_density,
)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=float, default=5.0, help="dose grid spacing in mm")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    return parser.parse_args()


class Clock:
    """Wall and processor seconds of named steps."""

    def __init__(self) -> None:
        self.wall_s: dict[str, float] = {}
        self.cpu_s: dict[str, float] = {}
        self._since = time.perf_counter(), time.process_time()

    def lap(self, step: str) -> None:
        """Close a step."""
        now = time.perf_counter(), time.process_time()
        self.wall_s[step], self.cpu_s[step] = (
            b - a for a, b in zip(self._since, now, strict=True)
        )
        self._since = now

    def restart(self) -> None:
        """Leave out what went before."""
        self._since = time.perf_counter(), time.process_time()


def recorded(problem) -> list[float]:
    """Return a list that grows by the objective at each of the peer's evaluations."""
    values: list[float] = []
    original = problem._objective_function

    def watched(x):
        value = original(x)
        values.append(float(value))
        return value

    problem._objective_function = watched
    return values


def main() -> None:
    """Plan, time, write."""
    from pyRadPlan import generate_stf
    from pyRadPlan.optimization.problems import get_problem_from_pln

    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    load_before = os.getloadavg()
    ct, cst, _, plan = load_case(arguments.grid)
    clock = Clock()
    stf = generate_stf(ct, cst, plan)
    clock.lap("beamlets")
    engine = make_engine(plan)
    dij = engine.calc_dose_influence(ct, cst, stf.model_copy(deep=True))
    clock.lap("influence matrix")
    problem = get_problem_from_pln(plan.model_copy(deep=True))
    problem.display = False
    values = recorded(problem)
    x, info = problem.solve(ct, cst, stf, dij)
    x = np.asarray(x)
    clock.lap("optimisation")
    dij.compute_result_ct_grid(x)
    clock.lap("dose on the CT grid")
    load_after = os.getloadavg()

    matrix = dij.physical_dose.flat[0]
    grid = engine.dose_grid
    arrays = {
        **{f"voxels_{name}": voxels for name, voxels in structures_of(problem).items()},
        **beam_arrays(stf, engine),
        "density": traced_density(engine),
        "grid_origin_mm": np.asarray(grid.origin, dtype=float),
        "grid_spacing_mm": np.array([grid.resolution[axis] for axis in "xyz"]),
        "voxels": np.asarray(engine._vdose_grid).ravel(),
        "voxels_in_matrix": np.unique(matrix.indices),
        "hu": hounsfield(ct),
        "hu_origin_mm": np.asarray(ct.grid.origin, dtype=float),
        "hu_spacing_mm": np.array([ct.grid.resolution[axis] for axis in "xyz"]),
        "weights": x[None],
    }
    np.savez(arguments.out / "plan.npz", **arrays)
    by_voxel = matrix.tocsr()
    np.savez(
        arguments.out / "matrix.npz",
        data=by_voxel.data.astype(np.float32),
        indices=by_voxel.indices.astype(np.int32),
        indptr=by_voxel.indptr.astype(np.int64),
        shape=np.array(by_voxel.shape),
    )
    report = {
        "program": f"pyRadPlan {version('pyRadPlan')}",
        "grid_mm": arguments.grid,
        "n_beams": len(GANTRY_DEG),
        "n_beamlets": int(matrix.shape[1]),
        "nnz": int(matrix.nnz),
        "lateral_cutoff_mm": float(engine.geometric_lateral_cutoff),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "wall_s": clock.wall_s,
        "cpu_s": clock.cpu_s,
        "objective": float(problem._objective_function(x)),
        "objective_history": values[:-1],
        "status": str(info.get("message", "")) if isinstance(info, dict) else "",
        "rss_peak_mb": peak_rss_mb(),
        "load_before": load_before,
        "load_after": load_after,
    }
    (arguments.out / "plan.json").write_text(json.dumps(report, indent=1))
    json.dump({k: v for k, v in report.items() if k != "objective_history"}, sys.stdout, indent=1)


def hounsfield(ct) -> np.ndarray:
    """Return the CT as [z, y, x] in HU."""
    import SimpleITK

    return np.rint(SimpleITK.GetArrayFromImage(ct.cube_hu)).astype(np.int16)


if __name__ == "__main__":
    main()
