"""Three earlier courses on a CT of 512 x 512 x 200 voxels: converted, mapped and summed.

Asked: 20 s and 6 GB on two cores. Registration is not counted: it is measured on its own page.

    python benchmarks/bench_accumulate.py [--slices 200] [--alpha-beta 2]
"""

import argparse
import resource
import sys
import time

import numpy as np
from scipy.spatial.transform import Rotation

from rerad.accumulation import CourseDose, PhaseDose, accumulate
from rerad.core import Dose, Grid, RigidTransform

COURSES = ((25, 25), (10, 8), (22, 15))
"""Planned and delivered fractions."""


def course(number: int, rng: np.random.Generator) -> CourseDose:
    """Return a course with a dose grid of 2.5 mm over 450 x 350 x 450 mm in its own frame."""
    grid = Grid((180, 140, 180), (-223.75, -173.75, -223.75), (2.5, 2.5, 2.5), f"1.2.{number}")
    z, y, x = (axis[:, None, None] for axis in grid.axes_mm[::-1])
    field = 45.0 * np.exp(-((x.reshape(1, 1, -1) / 80) ** 2 + (y.reshape(1, -1, 1) / 60) ** 2))
    values = field * np.exp(-((z / 90) ** 2)) + rng.uniform(0, 0.5, grid.shape)
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", rng.uniform(-5, 5, 3), degrees=True).as_matrix()
    matrix[:3, 3] = rng.uniform(-20, 20, 3)
    planned, delivered = COURSES[number]
    phase = PhaseDose(Dose(values.astype(np.float32), grid), planned, delivered)
    return CourseDose(
        f"course {number + 1}", (phase,), RigidTransform(matrix, grid.frame_uid, "1.2")
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=200)
    parser.add_argument("--alpha-beta", type=float, default=2.0)
    arguments = parser.parse_args()
    ct = Grid((arguments.slices, 512, 512), (-250.0, -250.0, -250.0), (0.977, 0.977, 2.5), "1.2")
    rng = np.random.default_rng(1)
    courses = [course(number, rng) for number in range(3)]
    small = Grid((4, 8, 8), (-4.0, -4.0, -4.0), (1.0, 1.0, 1.0), "1.2")
    accumulate(courses, small, alpha_beta_gy=arguments.alpha_beta)  # compiled before the clock
    before, processor = time.perf_counter(), time.process_time()
    total = accumulate(courses, ct, alpha_beta_gy=arguments.alpha_beta)
    wall, spent = time.perf_counter() - before, time.process_time() - processor
    scale = 1024**3 if sys.platform == "darwin" else 1024**2
    peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale
    print(f"CT {ct.shape}, {len(courses)} courses")
    print(f"wall {wall:.1f} s, processor {spent:.1f} s, peak {peak_gb:.2f} GB")
    share = 100 * total.n_unknown / ct.n_voxels
    print(f"highest EQD2 {total.max_gy:.2f} Gy, unknown {share:.1f} % of voxels")


if __name__ == "__main__":
    main()
