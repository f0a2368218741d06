"""The derived pencil kernel against a slow sampling of the same superposition, and its balance."""

import numpy as np
import pytest

from rerad.core.photon_beam import PencilKernel, Spectrum
from rerad.dosecalc.attenuation import GY_PER_MEV_MM3, attenuation_per_mm
from rerad.dosecalc.pencil_kernel import derive_pencil_kernel
from rerad.dosecalc.point_kernels import load_point_kernels
from rerad.dosecalc.spectrum import ali_rogers_spectrum, filtered

KERNELS = load_point_kernels()


def line(energy_mev: float) -> Spectrum:
    return Spectrum(np.array([energy_mev]), np.array([1.0]))


def energy_per_mm(kernel: PencilKernel) -> np.ndarray:
    """Share of the beam's energy per mm of depth and shell."""
    return kernel.dose * np.pi * np.diff(kernel.radius_mm**2) / GY_PER_MEV_MM3


def sampled(energy_mev: float, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Throw photons: depth of release, then a bin of the point kernel, then a place within it."""
    generator = np.random.default_rng(7)
    i = int(np.flatnonzero(KERNELS.energy_mev == energy_mev)[0])
    share = (KERNELS.primary[i] + KERNELS.scatter[i]).ravel()
    bins = generator.choice(len(share), n, p=share / share.sum())
    shell, angle = np.unravel_index(bins, KERNELS.primary.shape[1:])
    radius = KERNELS.radius_mm[shell] + generator.random(n) * np.diff(KERNELS.radius_mm)[shell]
    cosine = np.cos(np.deg2rad(KERNELS.polar_angle_deg))
    at = cosine[angle] + generator.random(n) * np.diff(cosine)[angle]
    release = generator.exponential(1.0 / attenuation_per_mm(np.array([energy_mev]))[0], n)
    return release + radius * at, radius * np.sqrt(1.0 - at**2)


def test_superposition_equals_sampling() -> None:
    n = 2_000_000
    depth, across = sampled(2.0, n)
    kernel = derive_pencil_kernel(line(2.0))
    energy = energy_per_mm(kernel)
    i = int(np.flatnonzero(KERNELS.energy_mev == 2.0)[0])
    deposited = 1.0 - KERNELS.escaped[i].sum()
    for low, high in ((2.0, 6.0), (10.0, 20.0), (90.0, 110.0), (280.0, 320.0)):
        fine = np.linspace(low, high, 201)
        for radius in (kernel.radius_mm[14], kernel.radius_mm[34]):
            within = energy[:, kernel.radius_mm[1:] <= radius + 1e-9].sum(axis=1)
            expected = np.trapezoid(np.interp(fine, kernel.depth_mm, within), fine)
            count = np.sum((depth > low) & (depth < high) & (across < radius))
            assert count > 2000
            # Three standard errors of the sampling and 0.3 % for interpolating between depths.
            error = expected * (3.0 / np.sqrt(count) + 0.003)
            assert count / n * deposited == pytest.approx(expected, abs=error)


def test_energy_is_conserved() -> None:
    # Deposited in the water, or above the surface, or deeper and wider than the kernel goes.
    depth, across = sampled(1.0, 1_000_000)
    kernel = derive_pencil_kernel(line(1.0))
    inside = np.trapezoid(energy_per_mm(kernel).sum(axis=1), kernel.depth_mm)
    i = int(np.flatnonzero(KERNELS.energy_mev == 1.0)[0])
    lost = np.mean((depth < 0) | (depth > 450.0) | (across > 500.0))
    escaped = KERNELS.escaped[i].sum()
    assert inside + lost * (1.0 - escaped) + escaped == pytest.approx(1.0, abs=2e-3)


def test_kernel_of_a_spectrum_is_the_sum_of_its_lines() -> None:
    both = derive_pencil_kernel(Spectrum(np.array([0.7, 3.5]), np.array([0.3, 0.7])))
    parts = 0.3 * derive_pencil_kernel(line(0.7)).dose + 0.7 * derive_pencil_kernel(line(3.5)).dose
    np.testing.assert_allclose(both.dose, parts, rtol=1e-10)


def test_kernel_is_positive_and_falls_with_radius() -> None:
    kernel = derive_pencil_kernel(ali_rogers_spectrum("elekta-6mv"))
    assert kernel.depth_mm[0] == 0.0
    assert kernel.depth_mm[-1] == 450.0
    assert kernel.radius_mm[-1] >= 400.0
    assert kernel.dose.min() > 0
    deep = kernel.dose[kernel.depth_mm >= 10.0]
    rising = np.diff(np.log(deep), axis=1)
    # Noise of the point kernels may lift single far shells by a little.
    assert rising.max() < 0.1


def test_harder_beams_reach_deeper() -> None:
    beam = ali_rogers_spectrum("elekta-6mv")
    ratios = []
    for water_mm in (-30.0, 0.0, 30.0):
        kernel = derive_pencil_kernel(filtered(beam, water_mm))
        broad = energy_per_mm(kernel)[:, kernel.radius_mm[1:] < 60.0].sum(axis=1)
        at = np.interp([100.0, 200.0], kernel.depth_mm, broad)
        ratios.append(at[1] / at[0])
    assert ratios[0] < ratios[1] < ratios[2]
