"""Compare a whole fluence plan by rerad with one by pyRadPlan, on the peer's own objectives.

Command, from a checkout after `make environment`::

    NUMBA_NUM_THREADS=2 .venv/bin/python benchmarks/bench_peer_plan.py --peer-python PATH

PATH is the Python of an environment of its own (benchmarks/README.md). TG-119 C-shape of the
peer's wheel, nine beams, its beamlets, kernels, voxels and objectives, as in `bench_operator.py`.

1. **Time**, from CT to the dose of the optimised fluence on every voxel of the patient, set-up
   counted. The peer runs with its defaults until its solver stops; how far that is above the best
   value known in its matrix is its quality. rerad's time is that at which its objective, on its
   own operator, is as near to its own best value.
2. **Value**: rerad's correction loop with the peer's matrix as the final dose engine,
   x <- argmin f(A x + c), c <- M x - A x, and at the end the peer's objective in the peer's
   matrix M. Beside it the value that the peer's own solver stopped at, in the same matrix.

`--case FOLDER` keeps what the peer wrote (450 MB at 5 mm), or takes it from an earlier run; then
the peer's times are the old ones and the ratio is worth nothing.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench_operator import make_problem, own_points, peer_geometry, peer_machine
from scipy import sparse

PEER_SCRIPT = Path(__file__).parent / "peers" / "pyradplan_plan.py"
GOAL_RATIO, STRETCH_RATIO = 25, 50


@dataclass(frozen=True, eq=False, slots=True)
class MatrixDose:
    """The peer's influence matrix as a dose operator of the optimiser."""

    matrix: sparse.csr_array

    @property
    def n_beamlets(self) -> int:
        """Columns."""
        return self.matrix.shape[1]

    @property
    def n_points(self) -> int:
        """Rows."""
        return self.matrix.shape[0]

    def forward(self, fluence_mu: np.ndarray) -> np.ndarray:
        """Multiply."""
        return self.matrix @ fluence_mu.astype(np.float32)

    def adjoint(self, weight_per_gy: np.ndarray) -> np.ndarray:
        """Multiply by the transpose."""
        return self.matrix.T @ weight_per_gy.astype(np.float32)


class Watch:
    """Notes the clocks and the objective after each iteration."""

    def __init__(self) -> None:
        self.began = time.perf_counter(), time.process_time()
        self.points: list[tuple[float, float, float]] = []

    def __call__(self, _n_done: int, objective: float) -> None:
        """Note one iteration."""
        wall, cpu = time.perf_counter() - self.began[0], time.process_time() - self.began[1]
        self.points.append((wall, cpu, objective))

    def reached(self, objective: float) -> tuple[float, float, int] | None:
        """Return wall and processor seconds and iterations to an objective; None if never."""
        for number, (wall, cpu, value) in enumerate(self.points, 1):
            if value <= objective:
                return wall, cpu, number
        return None


def run_peer(python: Path, folder: Path, grid_mm: float, threads: int) -> None:
    """Run the peer in its own environment."""
    command = [str(python), str(PEER_SCRIPT), "--grid", str(grid_mm), "--out", str(folder)]
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
    }
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        sys.exit(f"the peer stopped:\n{done.stderr[-3000:]}")


def convert_ct(case) -> None:
    """Bring the CT onto the dose grid and turn it into densities, as planning does.

    Only to be timed: both programs then use the density that the peer's ray tracer goes through.
    """
    from rerad.core import Grid, Image, ImageUnit, Modality, RigidTransform
    from rerad.imaging import AIR_HU, density_from_hu, load_hounsfield_curve, resample_image

    hu = case["hu"]
    fine = Grid(hu.shape, tuple(case["hu_origin_mm"]), tuple(case["hu_spacing_mm"]), "1.2.3")
    coarse = Grid(
        case["density"].shape,
        tuple(case["grid_origin_mm"]),
        tuple(case["grid_spacing_mm"]),
        "1.2.3",
    )
    image = Image(hu, fine, Modality.CT, ImageUnit.HU)
    on_dose_grid = resample_image(image, coarse, RigidTransform.identity("1.2.3"), outside=AIR_HU)
    density_from_hu(on_dose_grid, load_hounsfield_curve("schneider_2000"))


def best_value(problem, start: np.ndarray, n_evaluations: int) -> float:
    """Return the least objective found by a long run."""
    from rerad.optimize import SolveSettings, solve

    settings = SolveSettings(max_evaluations=n_evaluations, relative_tolerance=1e-7, patience=30)
    return solve(problem, settings, start=start).objective


def timed_plan(case, voxels: np.ndarray, counts, arguments: argparse.Namespace) -> dict:
    """Plan once on `voxels`, noting the clocks, and calculate the dose of the whole patient."""
    from rerad.core import PatientPosition
    from rerad.dosecalc import build_operator
    from rerad.optimize import SolveSettings, solve

    hfs = PatientPosition.HFS
    began, cpu = time.perf_counter(), time.process_time()
    convert_ct(case)
    density, grids, _ = peer_geometry(case)
    machine = peer_machine(case)
    operator = build_operator(machine, density, voxels, density.grid, grids, hfs)
    problem = make_problem(operator, voxels, case, counts)
    setup = time.perf_counter() - began, time.process_time() - cpu
    watch = Watch()
    settings = SolveSettings(
        max_evaluations=arguments.evaluations, relative_tolerance=1e-6, patience=20
    )
    solution = solve(problem, settings, progress=watch)
    began, cpu = time.perf_counter(), time.process_time()
    everywhere = operator
    if len(voxels) < len(case["voxels"]):
        everywhere = build_operator(machine, density, case["voxels"], density.grid, grids, hfs)
    everywhere.forward(solution.fluence_mu)
    final = time.perf_counter() - began, time.process_time() - cpu
    whole = make_problem(everywhere, case["voxels"], case)
    return {
        "n_points": len(voxels),
        "setup_s": setup,
        "final_s": final,
        "watch": watch,
        "fluence": solution.fluence_mu,
        "problem": problem,
        "whole_value": whole.value_and_gradient(solution.fluence_mu)[0],
        "whole": whole,
    }


def time_to_quality(plan: dict, gap: float, n_best: int) -> dict:
    """Return the seconds from CT to dose at which rerad is as near to its best as the peer."""
    best = best_value(plan["problem"], plan["fluence"], n_best)
    reached = plan["watch"].reached((1.0 + gap) * best)
    found = {
        "n_points": plan["n_points"],
        "best_value": best,
        "value_on_every_voxel": plan["whole_value"],
        "setup_s": plan["setup_s"],
        "final_dose_s": plan["final_s"],
    }
    if reached is None:
        return found | {"solve_s": None, "total_wall_s": None, "total_cpu_s": None}
    return found | {
        "solve_s": reached[:2],
        "n_iterations": reached[2],
        "total_wall_s": plan["setup_s"][0] + reached[0] + plan["final_s"][0],
        "total_cpu_s": plan["setup_s"][1] + reached[1] + plan["final_s"][1],
    }


def correction_loop(case, matrix, cutoff_mm: float, arguments: argparse.Namespace) -> dict:
    """Return the peer's objective in its matrix after each pass of rerad's correction loop."""
    from dataclasses import replace

    from rerad.core import PatientPosition
    from rerad.dosecalc import build_operator
    from rerad.optimize import SolveSettings, solve

    density, grids, columns = peer_geometry(case)
    voxels = case["voxels_in_matrix"]
    operator = build_operator(
        peer_machine(case, cutoff_mm), density, voxels, density.grid, grids, PatientPosition.HFS
    )
    # rerad's beamlets in the order of its own unknowns; the rest of the body gets no dose in M
    # and adds nothing to an over-dose objective, but counts in the mean over the body.
    ours = MatrixDose(matrix[voxels][:, columns])
    problem = make_problem(operator, voxels, case)
    in_matrix = scaled_body(make_problem(ours, voxels, case), case, voxels)
    problem = scaled_body(problem, case, voxels)
    began, cpu = time.perf_counter(), time.process_time()
    values, x, background = [], None, None
    for number in range(arguments.passes + 1):
        settings = SolveSettings(
            max_evaluations=arguments.evaluations // (1 if number == 0 else 2),
            relative_tolerance=1e-5,
            patience=20,
        )
        x = solve(replace(problem, background_dose_gy=background), settings, start=x).fluence_mu
        final = np.asarray(ours.forward(x), dtype=np.float64)
        background = final - operator.forward(x)
        values.append(in_matrix.value_by_dose(final)[0])
    return {
        "values": values,
        "wall_s": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
        "fluence": x,
        "problem": in_matrix,
        "columns": columns,
    }


def scaled_body(problem, case, voxels: np.ndarray):
    """Return the problem with the body's mean taken over all of the body, seen or not."""
    from dataclasses import replace

    share = np.isin(case["voxels_body"], voxels).mean()
    terms = tuple(
        replace(term, importance=term.importance * share) if term.name == "body" else term
        for term in problem.terms
    )
    return replace(problem, terms=terms)


def show(peer: dict, result: dict) -> None:
    """Print the tables."""
    peer_wall, peer_cpu = sum(peer["wall_s"].values()), sum(peer["cpu_s"].values())
    print(
        f"TG-119, {peer['grid_mm']:g} mm, {peer['n_beams']} beams, {peer['n_beamlets']} beamlets; "
        f"{peer['program']}; load {peer['load_before'][0]:.1f} before the peer, "
        f"{result['load_before']:.1f} before rerad"
    )
    print(f"peer: {peer_wall:.1f} s, processor {peer_cpu:.1f} s; steps {_rounded(peer['wall_s'])}")
    print(
        f"  {len(peer['objective_history'])} evaluations, objective {peer['objective']:.5g} in "
        f"its matrix, {100 * result['peer_gap']:.2f} % above the best known there "
        f"({result['best_in_matrix']:.5g})"
    )
    for name, own in result["time"].items():
        if own["total_wall_s"] is None:
            print(f"rerad, {name}: never as near to its best; more --evaluations")
            continue
        print(
            f"rerad, {name} ({own['n_points']} voxels): {own['total_wall_s']:.2f} s (set-up "
            f"{own['setup_s'][0]:.2f}, {own['n_iterations']} iterations {own['solve_s'][0]:.2f}, "
            f"dose {own['final_dose_s'][0]:.2f}); ratio {peer_wall / own['total_wall_s']:.1f}, "
            f"of processor times {peer_cpu / own['total_cpu_s']:.1f}; goal {GOAL_RATIO}, stretch "
            f"{STRETCH_RATIO}"
        )
        print(f"  objective on every voxel of the patient {own['value_on_every_voxel']:.5g}")
    loop = result["loop"]
    print(
        "rerad's correction loop with the peer's matrix as final engine: objective in the matrix "
        + ", ".join(f"{value:.5g}" for value in loop["values"])
        + f" after each pass; peer {peer['objective']:.5g} "
        f"({'lower' if loop['values'][-1] < peer['objective'] else 'NOT lower'}, "
        f"{100 * (loop['values'][-1] / peer['objective'] - 1):+.2f} %)"
    )


def _rounded(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.2f}" for name, value in seconds.items())


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", type=Path, help="Python that can import pyRadPlan")
    parser.add_argument("--grid", type=float, default=5.0, help="dose grid spacing in mm")
    parser.add_argument("--case", type=Path, help="folder for what the peer writes")
    parser.add_argument("--peer-threads", type=int, default=2)
    parser.add_argument("--evaluations", type=int, default=600, help="of rerad, first solve")
    parser.add_argument("--best-evaluations", type=int, default=1500, help="to find best values")
    parser.add_argument("--passes", type=int, default=4, help="of the correction loop")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    return parser.parse_args()


def measure(peer: dict, case, matrix, arguments: argparse.Namespace) -> dict:
    """Measure both parts."""
    load_before = os.getloadavg()[0]
    timed_plan(case, *own_points(case), arguments)  # compiles
    plans = {
        "every voxel": timed_plan(case, case["voxels"], None, arguments),
        "own sample": timed_plan(case, *own_points(case), arguments),
    }
    loop = correction_loop(case, matrix, peer["lateral_cutoff_mm"], arguments)
    polished = best_value(loop["problem"], loop["fluence"], arguments.best_evaluations // 4)
    best = min(polished, peer["objective"], *loop["values"])
    gap = peer["objective"] / best - 1.0
    time_of = {
        name: time_to_quality(plan, gap, arguments.best_evaluations)
        for name, plan in plans.items()
    }
    check = loop["problem"].value_and_gradient(case["weights"][0][loop["columns"]])[0]
    return {
        "load_before": load_before,
        "best_in_matrix": best,
        "peer_gap": gap,
        "peer_value_by_rerad": check,
        "time": time_of,
        "loop": {key: loop[key] for key in ("values", "wall_s", "cpu_s")},
    }


def main() -> None:
    """Run both, print, write."""
    arguments = parse()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.case or Path(scratch)
        if arguments.peer_python:
            run_peer(arguments.peer_python, folder, arguments.grid, arguments.peer_threads)
        elif not (folder / "plan.npz").is_file():
            sys.exit("name the peer's Python with --peer-python, or an earlier run with --case")
        peer = json.loads((folder / "plan.json").read_text())
        with np.load(folder / "plan.npz") as archive:
            case = dict(archive)
        with np.load(folder / "matrix.npz") as m:
            matrix = sparse.csr_array((m["data"], m["indices"], m["indptr"]), shape=m["shape"])
    result = measure(peer, case, matrix, arguments)
    if abs(result["peer_value_by_rerad"] / peer["objective"] - 1.0) > 1e-3:
        sys.exit(
            f"rerad reads {result['peer_value_by_rerad']:.6g} for the peer's fluence where the "
            f"peer reads {peer['objective']:.6g}: the objectives are not the same"
        )
    show(peer, result)
    if arguments.json:
        arguments.json.write_text(json.dumps({"peer": peer, "rerad": result}, indent=1))


if __name__ == "__main__":
    main()
