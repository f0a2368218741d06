"""Kernels on the lattice: what they are beyond the end of the table."""

from dataclasses import replace

import numpy as np

from rerad.core import PencilKernel
from rerad.dosecalc import decompose_kernel, load_machine
from rerad.dosecalc.raster import spline_kernels


def test_a_kernel_that_ends_within_the_map_is_zero_beyond():
    machine = load_machine("generic_6mv")
    kernel = machine.beam.kernel
    kept = kernel.radius_mm[1:] <= 180.0
    short = PencilKernel(
        kernel.depth_mm,
        np.concatenate([[0.0], kernel.radius_mm[1:][kept]]),
        kernel.dose[:, kept],
        "cut",
    )
    head = replace(machine.beam.head_scatter, share=0.0)
    beam = replace(machine.beam, kernel=short, head_scatter=head)
    components = decompose_kernel(replace(machine, beam=beam), n_components=4)
    n = 160
    values = spline_kernels(components, n, n, cell_mm=2.5)
    assert values.shape == (4, n, n)
    beyond = np.abs(values[:, 0, int(short.radius_mm[-1] / 2.5) + 8 :])
    assert beyond.max() < 1e-4 * np.abs(values[:, 0, :8]).max()
