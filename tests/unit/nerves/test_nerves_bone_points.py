"""A course proposed from bone points: the stated relations, off the bone, wrong points refused."""

import numpy as np
import pytest

from rerad.core import Grid, Image, ImageUnit, Modality, PathSource, Severity
from rerad.errors import InputError, MissingDataError
from rerad.nerves import propose_paths
from rerad.nerves.bone_points import proposal_findings, sciatic_exit
from rerad.tables import load_table, source_of

GRID = Grid((70, 60, 70), (-104.0, -60.0, -70.0), (3.0, 3.0, 3.0), "1.2.3")
HALF = {
    "foramen_L5": (24.0, 10.0, 110.0),
    "foramen_S1": (22.0, 44.0, 80.0),
    "sacroiliac": (54.0, 44.0, 85.0),
    "psis": (47.0, 82.0, 92.0),
    "ischial_tuberosity": (52.0, 28.0, -66.0),
    "sciatic_notch": (58.0, 50.0, 58.0),
    "ischial_spine": (66.0, 33.0, 20.0),
}


def both_sides():
    points = {f"{n}_L": p for n, p in HALF.items()}
    return points | {f"{n}_R": (-x, y, z) for n, (x, y, z) in HALF.items()}


def image(face_y=40.0):
    """A slab of bone, the ala, from a depth backwards, between z 75 and 95."""
    z, y, _ = np.meshgrid(*GRID.axes_mm[::-1], indexing="ij")
    hu = np.full(GRID.shape, 20, dtype=np.int16)
    hu[(y >= face_y) & (z > 75) & (z < 95)] = 700
    return Image(hu, GRID, Modality.CT, ImageUnit.HU)


def test_the_trunk_passes_the_joint_at_the_stated_distance_and_on_the_bone():
    """10 mm medial of the joint's point; its centre a radius before the face of the ala."""
    table = load_table("nerve_course")
    for side, sign in (("L", 1), ("R", -1)):
        path = propose_paths(image(), both_sides())[f"L5_{side}"]
        at = path.points_mm[np.argmin(np.abs(path.points_mm[:, 2] - 85.0))]
        assert at[0] == pytest.approx(
            sign * (54 - table["trunk_beside_joint"]["medial_mm"]), abs=2
        )
        # Voxels of 3 mm, half of one blurred: the face is found to about 1.5 mm.
        assert at[1] == pytest.approx(40.0 - 2.75, abs=2.0)
        assert path.source is PathSource.LANDMARKS
        assert np.isnan(path.uncertainty_mm)


def test_the_sciatic_exit_lies_on_the_published_line():
    """5.2 of 16.6 cm from spine to tuberosity, seen from behind; 8 mm behind the border."""
    own = {n: np.array(p) for n, p in HALF.items()}
    x, y, z = sciatic_exit(own)
    share = 5.2 / 16.6
    assert (x, z) == pytest.approx((47 + share * 5, 92 - share * 158))
    assert y == pytest.approx(50 + (58 - z) / 38 * (33 - 50) + 8)
    seen = np.array([50.0, 40.0, 30.0])
    assert np.array_equal(sciatic_exit(own | {"sciatic_exit": seen}), seen)


def test_paths_keep_off_bone_between_their_ends():
    """A bar of bone in the straight way of S1: the path goes round it."""
    z, y, _ = np.meshgrid(*GRID.axes_mm[::-1], indexing="ij")
    middle = np.array([34.0, 48.0, 62.0])
    bar = np.hypot(y - middle[1], z - middle[2]) < 7
    free = image(face_y=500.0)
    barred = Image(np.where(bar, 800, 20).astype(np.int16), GRID, Modality.CT, ImageUnit.HU)
    straight, round_it = (propose_paths(i, both_sides())["S1_L"] for i in (free, barred))

    def nearest(path):
        return np.hypot(path.points_mm[:, 1] - middle[1], path.points_mm[:, 2] - middle[2]).min()

    assert nearest(straight) < 4
    assert nearest(round_it) > 6


def test_a_proposal_says_what_it_is():
    paths = propose_paths(image(), both_sides())
    assert set(paths) == {"L5_R", "L5_L", "S1_R", "S1_L"}
    (finding,) = proposal_findings(tuple(paths.values()))
    assert finding.severity is Severity.CAUTION
    assert "not validated" in finding.text
    assert proposal_findings(()) == ()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"foramen_L6_R": (0, 0, 0)}, InputError, "got foramen_L6_R"),
        ({"psis": (0, 0, 0)}, InputError, "got psis"),
        ({"psis_L": (0.0, 0.0, 900.0)}, InputError, "psis_L at 0, 0, 900 mm lies outside"),
        ({"psis_R": (60.0, 82.0, 92.0)}, InputError, "psis_R to the right .*may be swapped"),
        ({"foramen_S1_L": (22.0, 44.0, 120.0)}, InputError, "foramen_L5_L above foramen_S1_L"),
        ({"ischial_spine_L": None}, MissingDataError, r"ischial_spine_L \(tip of the ischial"),
        ({"sacroiliac_R": None}, MissingDataError, "sacroiliac_R"),
    ],
)
def test_points_that_cannot_be_are_refused_by_name(change, error, said):
    points = {n: p for n, p in (both_sides() | change).items() if p is not None}
    with pytest.raises(error, match=said):
        propose_paths(image(), points)


def test_every_relation_names_its_source():
    for name, row in load_table("nerve_course").items():
        assert source_of(row, name).citation
