"""Maps, their sampling and the products that make them against slow, obvious twins."""

import numpy as np
import pytest
from numba import njit
from scipy.fft import irfft2
from scipy.interpolate import BSpline

from rerad.dosecalc import decompose_kernel, load_machine
from rerad.dosecalc.map_levels import NodeLine, SeparableKernels, _condensing, map_level
from rerad.dosecalc.raster import kernel_transforms, spline_kernels
from rerad.kernels import lanes
from rerad.kernels.beam_view import weigh_samples
from rerad.kernels.map_products import multiply_matrices
from rerad.kernels.map_sampling import BLOCK, FAR, gather_maps, scatter_maps


def lanes_in_use(flat, few):
    place = np.uint64(2)
    a = lanes.load_16(flat, place)
    b = lanes.repeat_4_to_16(few, np.uint64(1))
    c = lanes.spread_16(np.float32(2.5), np.float32(-1.0))
    d = lanes.multiply_add(a, b, lanes.multiply(c, a))
    e = lanes.load_8(flat, np.uint64(5))
    f = lanes.multiply(e, lanes.repeat_4_to_8(few, np.uint64(0)))
    lanes.store(flat, np.uint64(1), lanes.pick_columns(e))
    rows = lanes.total(lanes.pick_row_0(e)) + lanes.total(lanes.pick_row_3(f))
    g = lanes.subtract(lanes.load_4(flat, place), lanes.spread_4(few[1], few[2]))
    lanes.store(flat, np.uint64(20), lanes.add(g, lanes.load_4(flat, np.uint64(9))))
    bits = np.uint32(123456789)
    h = lanes.multiply(lanes.unpack_low_8(bits), lanes.unpack_high_8(bits))
    rows += lanes.total(lanes.multiply(h, lanes.unpack_both_8(bits)))
    return lanes.total(d), lanes.total(f), rows + lanes.total(lanes.spread_8(few[0], few[1]))


def test_compiled_lanes_equal_arrays():
    rng = np.random.default_rng(0)
    flat, few = rng.random(30).astype(np.float32), rng.random(6).astype(np.float32)
    other = flat.copy()
    compiled = njit(lanes_in_use)(flat, few)
    np.testing.assert_allclose(compiled, lanes_in_use(other, few), rtol=2e-6)
    np.testing.assert_array_equal(flat, other)


@pytest.mark.parametrize("n_cells", range(2, 40, 2))
def test_condensing_keeps_moments_up_to_the_third(n_cells):
    even, odd = _condensing(n_cells, 3)
    cells, sources = np.arange(n_cells // 2) + 0.5, 3.0 * (np.arange(even.shape[1]) + 0.5)
    for power, weights in ((0, even), (1, odd), (2, even), (3, odd)):
        np.testing.assert_allclose(weights @ sources**power, cells**power, atol=1e-9)


def test_matrices_multiply():
    rng = np.random.default_rng(1)
    for n_columns in (8, 48, 80):
        left = rng.standard_normal((8, 21)).astype(np.float32)
        right = rng.standard_normal((21, n_columns)).astype(np.float32)
        product = np.empty((8, n_columns), np.float32)
        multiply_matrices(left, right, product)
        np.testing.assert_allclose(product, left.astype(float) @ right, atol=1e-5)


def spline(t):
    return np.nan_to_num(BSpline.basis_element([-2, -1, 0, 1, 2], extrapolate=False)(t))


def tent(t):
    return np.maximum(1.0 - np.abs(t), 0.0)


def random_samples(seed, n_points=BLOCK + 90, n_groups=2):
    """Samples of two beams and two blocks, some near and some far."""
    rng = np.random.default_rng(seed)
    near = rng.random((n_groups, 2, 9, 12, 4)).astype(np.float32)
    far = rng.random((n_groups, 2, 5, 8, 4)).astype(np.float32)
    n_samples = 2 * n_points
    is_near = rng.random(n_samples) < 0.5
    near_node = 12 * rng.integers(0, 6, n_samples) + rng.integers(0, 9, n_samples)
    far_node = 8 * rng.integers(0, 4, n_samples) + rng.integers(0, 7, n_samples)
    node = np.where(is_near, near_node, int(FAR) + far_node).astype(np.uint32)
    place = rng.integers(0, 2**32, n_samples, dtype=np.uint64).astype(np.uint32)
    weights = rng.random((n_groups, n_samples, 4)).astype(np.float32)
    return rng, near, far, (node, place, weights)


def twin_dose(near, far, samples, n_points):
    node, place, weights = samples
    dose = np.zeros(n_points)
    for n in range(n_points):
        start = n // BLOCK * BLOCK
        for beam in range(2):
            s = 2 * start + beam * min(BLOCK, n_points - start) + n - start
            is_near = node[s] < FAR
            x, y = (int(place[s]) & 65535) / 65536, (int(place[s]) >> 16) / 65536
            maps, basis, second = (near, spline, 1) if is_near else (far, tent, 0)
            row, column = divmod(int(node[s]) % int(FAR), maps.shape[3])
            wx = basis(np.arange(maps.shape[3]) - column - second - x)
            wy = basis(np.arange(maps.shape[2]) - row - second - y)
            dose[n] += np.einsum("gvuc,gc,v,u->", maps[:, beam], weights[:, s], wy, wx)
    return dose


def test_gather_samples_splines_near_and_tents_far():
    _, near, far, samples = random_samples(2)
    dose = np.empty(BLOCK + 90)
    gather_maps(near, far, 0, *samples, dose)
    np.testing.assert_allclose(dose, twin_dose(near, far, samples, len(dose)), rtol=3e-6)
    one_beam = np.empty(BLOCK + 90)
    near[:, 0], far[:, 0] = 0.0, 0.0
    gather_maps(near[:, 1:].copy(), far[:, 1:].copy(), 1, *samples, one_beam)
    np.testing.assert_allclose(one_beam, twin_dose(near, far, samples, len(dose)), rtol=3e-6)


@pytest.mark.parametrize(("n_chunks", "share"), [(1, 1.0), (2, 1.0), (2, 0.05), (1, 0.0)])
def test_scatter_is_the_transpose_of_gather(n_chunks, share):
    rng, near, far, samples = random_samples(3)
    values = rng.standard_normal(BLOCK + 90) * (rng.random(BLOCK + 90) < share)
    near_back = np.empty((n_chunks, *near.shape), np.float32)
    far_back = np.empty((n_chunks, *far.shape), np.float32)
    scatter_maps(values, *samples, near_back, far_back)
    for _ in range(3):
        near, far = (rng.random(maps.shape).astype(np.float32) for maps in (near, far))
        dose = np.empty(len(values))
        gather_maps(near, far, 0, *samples, dose)
        back = np.sum(near * near_back.sum(axis=0, dtype=float))
        back += np.sum(far * far_back.sum(axis=0, dtype=float))
        assert dose @ values == pytest.approx(back, abs=2e-6 * np.linalg.norm(dose) * 65)


def test_weights_are_bilinear_and_padded_with_zeros():
    rng = np.random.default_rng(4)
    table = rng.random((8, 4, 6))
    depth, magnification = rng.uniform(-1, 18, 40), rng.uniform(0.6, 1.3, 40)
    weights = np.full((2, 40, 4), np.nan, np.float32)
    weights[0, :, 0], weights[0, :, 1] = depth, magnification
    weigh_samples(table, (2.0, 0.7, 0.15), weights)
    for s in range(40):
        a, b = np.clip(depth[s] / 2.0, 0, 7), np.clip((magnification[s] - 0.7) / 0.15, 0, 3)
        rows, columns = tent(np.arange(8) - a), tent(np.arange(4) - b)
        expected = np.einsum("dmc,d,m->c", table, rows, columns)
        np.testing.assert_allclose(weights[:, s].ravel()[:6], expected, rtol=2e-5)
    assert not weights[1, :, 2:].any()


@pytest.fixture(scope="module")
def kernels():
    components = decompose_kernel(load_machine("generic_6mv"), n_components=5)
    return components, spline_kernels(components, 90, 80, cell_mm=2.5)


def test_lattice_kernels_are_those_of_the_transforms(kernels):
    components, lattice = kernels
    transforms = kernel_transforms(components, (200, 200), cell_mm=2.5)
    values = irfft2(transforms, s=(200, 200))[:, :90, :80]
    top = np.abs(values).max(axis=(1, 2))
    assert np.all(np.abs(lattice - values).max(axis=(1, 2)) < 1e-6 * top)


def test_few_products_make_the_kernels(kernels):
    components, lattice = kernels
    separable = SeparableKernels.of(components, 90, 80, cell_mm=2.5)
    assert len(separable.along_y) <= 14
    error = np.einsum("ry,crx->cyx", separable.along_y, separable.along_x) - lattice
    # In dose: a 100 mm field on the lattice, at 100 mm depth on the axis and 100 mm beside it.
    weights = components.weights[100, 8]
    near, far = slice(0, 20), slice(20, 60)
    dose, wrong = (np.einsum("c,cyx->yx", weights, k) for k in (lattice, error))
    assert abs(wrong[near, near].sum()) < 1e-4 * dose[near, near].sum()
    assert abs(wrong[near, far].sum()) < 2e-3 * dose[near, far].sum()


def direct(kernels, fluence, y, x):
    """Sum over all cells for every node."""
    maps = np.zeros((len(kernels), y.n, x.n))
    rows, columns = (np.arange(n) for n in fluence.shape)
    for v in range(y.n):
        for u in range(x.n):
            dy = np.abs(y.first + y.step * v - rows)
            dx = np.abs(x.first + x.step * u - columns)
            maps[:, v, u] = np.einsum("cyx,yx->c", kernels[:, dy][:, :, dx], fluence)
    return maps


@pytest.mark.parametrize("step", [1, 3])
def test_levels_convolve_and_their_transpose_is_exact(kernels, step):
    components, _ = kernels
    separable = SeparableKernels.of(components, 90, 80, cell_mm=2.5)
    if step > 1:
        separable = separable.at_nodes()
    reach = 9 if step == 1 else 40
    y = NodeLine.over(14, -reach, 13 + reach, step=step)
    x = NodeLine.over(18, -reach - 10, 17 + reach, step=step)
    level = map_level(separable, y, x)
    assert y.first <= -reach
    assert y.first + step * (y.n - 1) >= 13 + reach
    rng = np.random.default_rng(5)
    # Beamlets of 5 mm, as the far map's condensing of columns takes them to be.
    fluence = np.kron(rng.random((2, 7, 9)), np.ones((2, 2))).astype(np.float32)
    maps = level.convolve(fluence)
    assert maps.shape == level.map_shape(2)
    whole = np.einsum("ry,crx->cyx", separable.along_y, separable.along_x)
    expected = direct(whole, fluence[1].astype(float), y, x)
    got = maps[:, 1].transpose(0, 3, 1, 2).reshape(8, y.n, x.n)
    assert not got[5:].any()
    beside = np.ones((y.n, x.n), bool)
    if step > 1:
        # Coarse maps are for points beyond the fine one, eight cells from the fluence.
        v, u = y.first + step * np.arange(y.n), x.first + step * np.arange(x.n)
        beside = ((v < -8) | (v > 21))[:, None] | ((u < -8) | (u > 25))
    for c in range(5):
        if step == 1:
            assert np.abs(got[c] - expected[c]).max() < 2e-6 * np.abs(expected[c]).max()
    dose, wrong = (
        np.tensordot(components.weights[100, 8], maps_of, 1)
        for maps_of in (expected, got[:5] - expected)
    )
    # Relative to the dose within the field: beside it, 20 mm away, it is some per cent of that.
    assert np.abs(wrong[beside]).max() < 5e-4 * dose.max()
    chunks = rng.standard_normal((2, *maps.shape)).astype(np.float32)
    back, other = level.convolve_back(chunks), chunks.sum(axis=0)
    assert np.sum(maps.astype(float) * other) == pytest.approx(
        np.sum(fluence.astype(float) * back), abs=4e-4 * float(np.linalg.norm(maps))
    )
