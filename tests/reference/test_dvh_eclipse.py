"""DVHs, margins and booleans against a Varian Eclipse plan and SlicerRT (SlicerRT test data, MIT).

Contours are VTK XML polydata in RAS, the dose is an NRRD in LPS; both are read here, by hand.
"""

import base64
import csv
import gzip
import re
import zlib
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.path import Path
from scipy.spatial import cKDTree

from rerad import dicom
from rerad.core import (
    Contour,
    Dose,
    Grid,
    Image,
    ImageUnit,
    Mask,
    Modality,
    Patient,
    Structure,
    StructureKind,
    StructureSet,
)
from rerad.evaluation import dvh
from rerad.structures import (
    EndSlab,
    Margin6,
    contours_from_mask,
    intersect,
    margin,
    rasterize,
    subtract,
    unite,
)

FRAME = "1.2.826.0.1.3680043.8.498.1"
PRESCRIPTION_GY = 46.0
NAMES = ("BODY", "Bladder", "Femoral Head Lt", "Femoral Head RT", "PTV", "Rectum")
VTK_TYPES = {"Float32": "<f4", "Float64": "<f8", "Int64": "<i8", "Int32": "<i4"}


def _vtk_array(element):
    """Decode one array: block count, sizes and zlib blocks, in base64."""
    text = "".join(element.text.split())
    n_blocks = int(np.frombuffer(base64.b64decode(text[:8])[:4], "<u4")[0])
    n_header = 4 * -(-4 * (3 + n_blocks) // 3)
    header = np.frombuffer(base64.b64decode(text[:n_header])[: 4 * (3 + n_blocks)], "<u4")
    packed, data, at = base64.b64decode(text[n_header:]), b"", 0
    for size in header[3:].tolist():
        data += zlib.decompress(packed[at : at + size])
        at += size
    return np.frombuffer(data, VTK_TYPES[element.get("type")])


def _read_structure(path, name):
    piece = ElementTree.parse(path).getroot().find(".//Piece")
    points = _vtk_array(piece.find("Points/DataArray")).reshape(-1, 3).astype(np.float64)
    lines = {e.get("Name"): _vtk_array(e) for e in piece.find("Lines")}
    stops = lines["offsets"]
    contours = []
    for start, stop in zip(np.r_[0, stops[:-1]], stops, strict=True):
        ring = points[lines["connectivity"][start:stop]]
        if np.allclose(ring[0], ring[-1]):
            ring = ring[:-1]
        contours.append(Contour(round(float(ring[0, 2]), 3), -ring[:, :2]))
    return Structure(name, StructureKind.OAR, FRAME, tuple(contours), 2.5)


def _nrrd(path):
    head, body = path.read_bytes().split(b"\n\n", 1)
    fields = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    keys = dict(line.split(":=", 1) for line in head.decode().splitlines() if ":=" in line)
    sizes = [int(n) for n in fields["sizes"].split()]
    dtype = {"float": "<f4", "unsigned char": "u1"}[fields["type"]]
    numbers = re.findall(r"-?\d[\d.e-]*", fields["space origin"])
    values = np.frombuffer(gzip.decompress(body), dtype).reshape(sizes[::-1])
    return values, [float(n) for n in numbers], keys


@pytest.fixture(scope="module")
def folder(shared_data):
    path = shared_data / "eclipse_prostate"
    if not path.is_dir():
        pytest.skip(f"the Eclipse plan is not here: {path}")
    return path


@pytest.fixture(scope="module")
def dose(folder):
    values, origin, _ = _nrrd(folder / "EclipseProstate_Dose.nrrd")
    return Dose(values, Grid(values.shape, tuple(origin), (2.5, 2.5, 2.5), FRAME))


@pytest.fixture(scope="module")
def structures(folder):
    part = folder / "EclipseProstate_Structures.seg"
    return {
        name: _read_structure(part / f"EclipseProstate_Structures.seg_{n}.vtp", name)
        for n, name in enumerate(NAMES)
    }


@pytest.fixture(scope="module")
def table(folder):
    """Volume in cc, and cumulative curve (Gy, percent), of each structure as Eclipse gave them."""
    with (folder / "EclipseProstate_DvhTable_Eclipse.csv").open() as file:
        header, *rows = list(csv.reader(file))
    values = np.array([[float(v) if v else np.nan for v in row[:12]] for row in rows])
    result = {}
    for n, name in enumerate(NAMES):
        volume = float(re.search(r"% of ([\d.]+) cc", header[2 * n + 1])[1])
        curve = values[:, 2 * n : 2 * n + 2]
        result[name] = volume, *curve[np.isfinite(curve).all(axis=1)].T
    return result


def _of_table(percent, curve):
    return float(np.interp(-percent, -curve[1], curve[0]))


@pytest.mark.parametrize("name", NAMES)
def test_eclipse_tables_are_met_with_its_own_end_slabs(name, structures, dose, table):
    ours = dvh(dose, structures[name], end_slab=EndSlab.SHORT)
    volume_cc, *curve = table[name]
    assert abs(ours.volume_cc - volume_cc) <= max(0.2, 0.01 * volume_cc)
    assert ours.unknown_fraction == 0
    tolerance_gy = 0.005 * PRESCRIPTION_GY
    mean_gy = np.sum(-np.diff(curve[1]) * (curve[0][1:] + curve[0][:-1]) / 2) / 100
    assert ours.mean_gy == pytest.approx(mean_gy, abs=tolerance_gy)
    for percent in (2, 50, 98):
        assert ours.dose_at_volume(percent=percent) == pytest.approx(
            _of_table(percent, curve), abs=tolerance_gy
        ), percent


@pytest.mark.parametrize("name", NAMES)
def test_flat_end_slabs_stay_close_to_eclipse(name, structures, dose, table):
    """The default differs at the ends alone: 1.4 % of volume; a D98 % that lies in an end."""
    ours = dvh(dose, structures[name])
    volume_cc, *curve = table[name]
    assert ours.volume_cc == pytest.approx(volume_cc, rel=0.015)
    assert ours.dose_at_volume(percent=2) == pytest.approx(_of_table(2, curve), abs=0.1)
    assert ours.dose_at_volume(percent=50) == pytest.approx(_of_table(50, curve), abs=0.4)


@pytest.fixture(scope="module")
def parent():
    return Grid((110, 512, 512), (-250, -250, -142.5), (0.976562, 0.976562, 2.5), FRAME)


@pytest.fixture(scope="module")
def binary(structures, parent):
    """Masks of true and false, as SlicerRT's label maps are."""

    def make(name):
        mask = rasterize(structures[name], parent)
        return replace(mask, fraction=(mask.fraction >= 0.5).astype(np.float32))

    return {name: make(name) for name in ("Bladder", "PTV", "Rectum")}


def _reference(folder, name, parent):
    """Return a label map of SlicerRT on `parent`; its extent counts from the image's origin."""
    values, origin, keys = _nrrd(folder / f"EclipseProstate_{name}.seg.nrrd")
    i, _, j, _, k, _ = (int(n) for n in keys["Segment0_Extent"].split())
    sx, sy, sz = parent.spacing_mm
    corner = (-origin[0] + i * sx, -origin[1] + j * sy, origin[2] + k * sz)
    grid = Grid(values.shape[1:], corner, parent.spacing_mm, FRAME)
    mask = Mask(name, StructureKind.OAR, values[0].astype(np.float32), grid)
    return mask.on(parent) > 0


def _dice(first, second):
    return 2 * np.sum(first & second) / (first.sum() + second.sum())


@pytest.mark.parametrize(
    ("combine", "name", "n_off"),
    [(unite, "Union", 30), (subtract, "Subtract", 30), (intersect, "Intersect", 1)],
)
def test_booleans_are_those_of_slicer_rt(combine, name, n_off, binary, folder, parent):
    ours = combine(binary["Bladder"], binary["PTV"]).on(parent) >= 0.5
    reference = _reference(folder, f"Bladder_{name}_PTV", parent)
    assert np.sum(ours != reference) <= n_off
    if name != "Intersect":
        assert _dice(ours, reference) > 0.999


@pytest.mark.parametrize(
    ("organ", "name", "margin_mm", "least_dice", "volume"),
    [
        ("Bladder", "Expanded_5_5_5_Bladder", 5.0, 0.98, 0.04),
        ("Rectum", "Expanded_5_5_5_Rectum", 5.0, 0.97, 0.06),
        ("Bladder", "Shrunk_5_5_5_Bladder", -5.0, 0.98, 0.07),
    ],
)
def test_margins_lie_within_a_voxel_of_slicer_rt(
    organ, name, margin_mm, least_dice, volume, binary, folder, parent
):
    """SlicerRT reaches half a voxel farther on every side; see the next test."""
    reference = _reference(folder, name, parent)
    ours = margin(binary[organ], parent, margin_mm)
    assert _dice(ours.on(parent) >= 0.5, reference) > least_dice
    reference_cc = reference.sum() * parent.voxel_volume_cc
    assert ours.volume_cc == pytest.approx(reference_cc, rel=volume)


def test_margin_in_steps_of_whole_voxels_is_the_ellipsoid_of_slicer_rt(binary, folder, parent):
    """Half-axes of 5.5 voxels in the plane and 2.5 across, measured between voxel centres."""
    half = 5.5 * 0.976562
    coarse = replace(parent, spacing_mm=(0.976562, 0.976562, 0.976562))
    mask = binary["Bladder"]
    squeezed = replace(
        mask, grid=Grid(mask.grid.shape, mask.grid.origin_mm, coarse.spacing_mm, FRAME)
    )
    k0 = parent.region_of(mask.grid)[0].start
    origin = (*parent.origin_mm[:2], mask.grid.origin_mm[2] - k0 * 0.976562)
    within = Grid(parent.shape, origin, coarse.spacing_mm, FRAME)
    tall = 2.5 * 0.976562
    six = Margin6(*(v - 1e-3 for v in (half, half, half, half, tall, tall)))
    ours = margin(squeezed, within, six).on(within) >= 0.5
    reference = _reference(folder, "Expanded_5_5_5_Bladder", parent)
    assert _dice(ours, reference) > 0.999


def _distance_mm(structure, grid):
    """Return how far voxel centres lie from an organ as drawn: slabs of polygons, 0 inside.

    The surface is sampled at 0.4 mm: walls half a slice up and down, floors and ceilings filled.
    """
    half = structure.slice_thickness_mm / 2
    steps = np.arange(-half, half + 0.2, 0.4)
    points = []
    for contour in structure.contours:
        ring = np.vstack([contour.points_mm, contour.points_mm[:1]])
        lengths = np.linalg.norm(np.diff(ring, axis=0), axis=1)
        arc = np.r_[0, np.cumsum(lengths)]
        at = np.arange(0, arc[-1], 0.4)
        wall = np.column_stack([np.interp(at, arc, ring[:, n]) for n in range(2)])
        points += [np.column_stack([wall, np.full(len(wall), contour.z_mm + s)]) for s in steps]
        low, high = ring.min(axis=0), ring.max(axis=0)
        x, y = np.meshgrid(np.arange(low[0], high[0], 0.4), np.arange(low[1], high[1], 0.4))
        inside = Path(ring).contains_points(np.column_stack([x.ravel(), y.ravel()]))
        floor = np.column_stack([x.ravel()[inside], y.ravel()[inside]])
        points += [
            np.column_stack([floor, np.full(len(floor), contour.z_mm + s)]) for s in (-half, half)
        ]
    kji = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    centres = grid.points(kji).reshape(-1, 3)
    return cKDTree(np.concatenate(points)).query(centres)[0].reshape(grid.shape)


@pytest.mark.parametrize(("name", "margin_mm"), [("Bladder", 5.0), ("Rectum", 8.0)])
def test_margins_of_drawn_organs_are_exact_to_half_a_voxel(structures, parent, name, margin_mm):
    """No voxel is on the wrong side that lies farther than half a slice from the true surface."""
    organ = structures[name]
    mask = rasterize(organ, parent)
    ours = margin(mask, parent, margin_mm)
    region = parent.region_of(ours.grid)
    start = [max(0, s.start - 3) for s in region]
    stop = [min(n, s.stop + 3) for s, n in zip(region, parent.shape, strict=True)]
    box = parent.crop(tuple(start), tuple(stop))
    away = _distance_mm(organ, box)
    away[mask.on(box) >= 0.5] = 0.0
    made = ours.on(box) >= 0.5
    wrong = made != (away <= margin_mm)
    assert np.abs(away[wrong] - margin_mm).max() <= 0.5 * max(parent.spacing_mm)
    # Slabs have steps, which the margin does not follow: it stays inside, never beyond a pixel.
    assert (away[wrong] - margin_mm).max() < 0.5
    assert wrong.sum() < 0.07 * made.sum()


def test_shells_and_differences_of_drawn_organs_survive_dicom(structures, parent, tmp_path):
    """Targets with holes, read back from RTSTRUCT: the same voxels."""
    near = Grid((60, 512, 512), (-250, -250, -80.0), parent.spacing_mm, FRAME)
    masks = {name: rasterize(structures[name], near) for name in ("Bladder", "PTV", "Rectum")}
    grown = margin(masks["Bladder"], near, 8.0)
    made = {
        "Shell": subtract(grown, masks["Bladder"]),
        "PTV-Bladder": subtract(masks["PTV"], masks["Bladder"]),
        "All": unite(unite(grown, masks["PTV"]), masks["Rectum"]),
        "Shell-Rectum": subtract(subtract(grown, masks["Bladder"]), masks["Rectum"]),
    }
    header = dicom.StudyHeader("1.2.3.4", uids=dicom.UidFactory("eclipse"))
    empty = Image(np.zeros(near.shape, np.int16), near, Modality.CT, ImageUnit.HU)
    image = dicom.write_image(empty, Patient("E"), tmp_path / "ct", study=header)
    wanted = {name: mask.on(near) >= 0.5 for name, mask in made.items()}
    drawn = tuple(
        contours_from_mask(inside, near, name=name, kind=StructureKind.PTV)
        for name, inside in wanted.items()
    )
    dicom.write_structure_set(
        StructureSet("t", drawn), image, Patient("E"), tmp_path / "rs.dcm", study=header
    )
    read = dicom.read_structure_set(tmp_path / "rs.dcm", image)
    for name, inside in wanted.items():
        found = rasterize(read[name], image.grid).on(image.grid) >= 0.5
        assert np.array_equal(found, inside), name
    # The shell is hollow where the bladder is, all around it.
    hollow = masks["Bladder"].on(near) > 0.5
    assert hollow.any()
    assert not (wanted["Shell"] & hollow).any()
    rings = [c.z_mm for c in read["Shell"].contours]
    assert any(rings.count(z) == 2 for z in set(rings))
