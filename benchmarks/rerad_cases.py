"""Re-irradiation cases of `bench_rerad_cases.py`: anatomy, earlier course, new prescription.

Positions, doses and limits were chosen once, as a clinic would choose them, before any plan was
made on them. Anatomy is the demo's digital pelvis, a real pelvis CT with model contours, and a
real head and neck patient with its own IMRT dose. Where nobody drew a new target, it is a sphere.
"""

import csv
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rerad.case.demo import (
    FIRST_DRAWN,
    SHORTER_BY_MM,
    DemoSettings,
    plan_first_course,
    shorter_scan,
    structures_of,
)
from rerad.case.published_case import ACCEPTED, PRIOR_FRACTIONS
from rerad.core import (
    Course,
    Dose,
    Grid,
    Image,
    ImageUnit,
    Mask,
    Modality,
    Patient,
    Prescription,
    RigidTransform,
    StructureKind,
    StructureSet,
    Study,
    TreatmentHistory,
)
from rerad.dosecalc import load_machine
from rerad.imaging import AIR_HU, load_hounsfield_curve
from rerad.phantoms import PelvisVisit, make_pelvis
from rerad.planning import (
    LimitChoice,
    Medium,
    MediumSettings,
    ObjectiveSettings,
    PlanningInputs,
    PlanningSettings,
    PlanRequest,
    PlanSettings,
    PriorCourse,
    PriorInput,
    coplanar_beams,
    dose_grid_for,
    external_of,
    isocenter_of,
    make_medium,
    make_plan,
    rasterize_all,
)
from rerad.planning.budget import required_alpha_betas_gy
from rerad.planning.history import carry_priors
from rerad.structures import EndSlab, contours_from_mask, unite
from rerad.tables import load_table

DATA = Path(os.environ.get("RERAD_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
FIRST_FRAME, TODAY_FRAME = "1.2.826.0.1.1", "1.2.826.0.1.2"
REAL_FRAME, NECK_FRAME = "1.2.826.0.1.3", "1.2.826.0.1.4"
DEMO_ORGANS = (
    "Bladder",
    "Rectum",
    "Colon_Sigmoid",
    "Bowel_Small",
    "CaudaEquina",
    "SacralPlex_L",
    "SacralPlex_R",
)


@dataclass(frozen=True, slots=True)
class Fineness:
    """How finely a benchmark is run, and how much is asked for.

    Dose voxels, evaluations, correction passes and leaf refinements; with `up_to` above 1 every
    target is to get as much as the limits allow, up to so many times the prescribed dose.
    """

    dose_grid_mm: float = 3.0
    max_evaluations: int = 150
    n_correction_passes: int = 2
    prior_grid_mm: float = 4.0
    prior_evaluations: int = 60
    n_leaf_refinements: int = 1
    up_to: float = 1.0


@dataclass(frozen=True, eq=False, slots=True)
class ReradCase:
    """A case ready to be planned.

    Parameters
    ----------
    name, text : str
        Short name, and what it is.
    inputs : PlanningInputs
        Everything that the pipeline would get.
    grid : Grid
        Dose grid.
    masks : mapping of str to Mask
        Structures on it.
    medium : Medium
        What beams pass.
    priors : tuple of PriorCourse
        Earlier courses on the dose grid.
    """

    name: str
    text: str
    inputs: PlanningInputs
    grid: Grid
    masks: Mapping[str, Mask]
    medium: Medium
    priors: tuple[PriorCourse, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Today:
    """The new course: what is drawn, what is prescribed, under which limits."""

    image: Image
    structures: StructureSet
    prescriptions: tuple[Prescription, ...]
    n_fractions: int
    rule_set: str
    accepted: tuple[tuple[str, str], ...] = ()
    limit_choice: LimitChoice = LimitChoice.STRICTEST


def quiet(_what: str, _share: float) -> None:
    """Tell nobody."""


def make_inputs(today: Today, prior: PriorInput, fineness: Fineness) -> PlanningInputs:
    """Return what the pipeline would be given, with the choices that `rerad import` proposes."""
    table = load_table("planning_proposal")
    planning, beams = table["planning"], table["beams"]
    coarse = today.image.grid.with_spacing((3.0, 3.0, 3.0))
    names = [item.structure for item in today.prescriptions]
    targets = StructureSet("targets", tuple(today.structures[name] for name in names))
    union: Mask | None = None
    for mask in rasterize_all(targets, coarse).values():
        union = mask if union is None else unite(union, mask)
    assert union is not None
    return PlanningInputs(
        title="benchmark",
        history=TreatmentHistory(Patient("BENCH"), "", (prior.course,), (10,), (), ()),
        current=Course(
            "Course 2",
            "",
            "IMRT",
            tuple(
                replace(item, up_to_gy=fineness.up_to * item.dose_gy)
                if fineness.up_to > 1
                else item
                for item in today.prescriptions
            ),
            today.n_fractions,
            None,
        ),
        current_order=20,
        image=today.image,
        structures=today.structures,
        pet_suv=None,
        mr=None,
        priors=(prior,),
        machine=load_machine(planning["machine"]),
        medium=MediumSettings(load_hounsfield_curve(planning["hounsfield_curve"])),
        beams=coplanar_beams(
            tuple(beams["gantry_angles_deg"]), beams["collimator_angle_deg"], isocenter_of(union)
        ),
        goals=(),
        settings=PlanningSettings(
            rule_set=today.rule_set,
            compared_rule_sets=(),
            limit_choice=today.limit_choice,
            recovery_table=planning["recovery_table"],
            tumor_alpha_beta_gy=planning["tumor_alpha_beta_gy"],
            tumor_alpha_beta_citation=planning["tumor_alpha_beta_citation"],
            dose_grid_mm=fineness.dose_grid_mm,
            end_slab=EndSlab[planning["structure_ends"].upper()],
            column_width_mm=beams["column_width_mm"],
            field_margin_mm=beams["field_margin_mm"],
            n_correction_passes=fineness.n_correction_passes,
            max_evaluations=fineness.max_evaluations,
            seed=planning["seed"],
            accepted_breaches=today.accepted,
            n_leaf_refinements=fineness.n_leaf_refinements,
            dose_rate_mu_min=beams["dose_rate_mu_min"],
        ),
        objectives=ObjectiveSettings(**table["objectives"]),
    )


def make_case(
    name: str, text: str, today: Today, prior: PriorInput, fineness: Fineness
) -> ReradCase:
    """Carry the earlier course onto today's dose grid as the pipeline does."""
    inputs = make_inputs(today, prior, fineness)
    body = external_of(inputs.structures)
    grid = dose_grid_for(inputs.image, body, inputs.settings.dose_grid_mm)
    masks = rasterize_all(inputs.structures, grid)
    medium = make_medium(inputs.image, inputs.structures, masks[body.name], grid, inputs.medium)
    carried = carry_priors(inputs, medium.patient.grid, required_alpha_betas_gy(inputs), quiet)
    return ReradCase(name, text, inputs, medium.patient.grid, masks, medium, carried)


# ------------------------------------------------------------------ the demo's digital patient


@dataclass(frozen=True, eq=False, slots=True)
class DemoPatient:
    """Both visits of the demo, and the dose of the first."""

    first: Image
    dose: Dose
    today: Image
    masks: Mapping[str, Mask]
    to_today: RigidTransform

    def structures(self, names: Sequence[str], *own: tuple[str, Mask]) -> StructureSet:
        """Return some of today's structures as contours, with masks of one's own."""
        masks = {name: self.masks[name] for name in names} | dict(own)
        return StructureSet(
            "Today",
            tuple(
                contours_from_mask(m.fraction, m.grid, name=name, kind=m.kind)
                for name, m in masks.items()
            ),
        )

    def prior(self, factor: float = 1.0, shift_z_mm: float = 0.0) -> PriorInput:
        """Return the first course with its dose scaled, or lying lower than it did.

        Its CT lies in the first frame; the pipeline's registration carries it to today's.
        """
        dose = self.dose.scaled(factor)
        spacing = dose.grid.spacing_mm[2]
        # Nothing becomes unknown: what lies at either end of the grid is repeated beyond it.
        n = int(np.ceil(abs(shift_z_mm) / spacing)) + 2
        values = np.pad(dose.values, ((n, n), (0, 0), (0, 0)), mode="edge")
        x, y, z = dose.grid.origin_mm
        origin = (x, y, z - n * spacing + shift_z_mm)
        grid = Grid(values.shape, origin, dose.grid.spacing_mm, dose.grid.frame_uid)
        dose = replace(dose, values=values, grid=grid)
        course = Course(
            "Course 1",
            "Pelvis",
            "IMRT",
            (Prescription("PTV_4500", 45.0 * factor),),
            PRIOR_FRACTIONS,
            PRIOR_FRACTIONS,
        )
        return PriorInput(course, Study(self.first, dose=dose), None)


@cache
def demo_patient(fineness: Fineness) -> DemoPatient:
    """Make both visits at 2 mm and plan the first course."""
    settings = DemoSettings(
        in_plane_mm=2.0,
        shape_ji=(252, 252),
        first_dose_grid_mm=fineness.prior_grid_mm,
        max_evaluations=2 * fineness.prior_evaluations,
    )
    size = {
        "seed": settings.seed,
        "in_plane_mm": settings.in_plane_mm,
        "slice_mm": settings.slice_mm,
        "shape_ji": settings.shape_ji,
    }
    first = make_pelvis(PelvisVisit.first(FIRST_FRAME), **size)
    drawn = structures_of(first, "Course 1", FIRST_DRAWN)
    _, dose = plan_first_course(first.ct, drawn, settings, quiet)
    visit = PelvisVisit.second(TODAY_FRAME, first_frame_uid=FIRST_FRAME)
    today = shorter_scan(make_pelvis(visit, **size), SHORTER_BY_MM)
    return DemoPatient(first.ct, dose, today.ct, today.masks, today.from_first_visit)


def demo_case(
    name: str, text: str, fineness: Fineness, factor: float = 1.0, shift_z_mm: float = 0.0
) -> ReradCase:
    """Return the published case with the earlier dose as it was, scaled, or moved."""
    patient = demo_patient(fineness)
    targets = ("Body", "PTV_4000", "PTV_3600")
    today = Today(
        patient.today,
        patient.structures((*targets, *DEMO_ORGANS)),
        (Prescription("PTV_4000", 40.0), Prescription("PTV_3600", 36.0)),
        22,
        "slevin2021",
        tuple((item.structure, item.reason) for item in ACCEPTED),
    )
    return make_case(name, text, today, patient.prior(factor, shift_z_mm), fineness)


def demo_node(name: str, fineness: Fineness) -> ReradCase:
    """Return the demo patient with a node at the left internal iliac artery instead."""
    patient = demo_patient(fineness)
    artery = patient.masks["A_Iliac_Int_L"]
    centre = artery.grid.points(np.argwhere(artery.fraction > 0.5)).mean(axis=0)
    node = sphere("PTV_4000", patient.today.grid, centre, 17.0)
    today = Today(
        patient.today,
        patient.structures(("Body", *DEMO_ORGANS), ("PTV_4000", node)),
        (Prescription("PTV_4000", 40.0),),
        20,
        "slevin2021",
    )
    text = "demo patient, left internal iliac node (PTV 34 mm across), 40 Gy in 20; 45 Gy in 25"
    return make_case(name, text, today, patient.prior(), fineness)


def sphere(name: str, grid: Grid, centre_mm: NDArray[np.float64], radius_mm: float) -> Mask:
    """Return a sphere as a planning target volume."""
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij", sparse=True)
    inside = (x - centre_mm[0]) ** 2 + (y - centre_mm[1]) ** 2 + (z - centre_mm[2]) ** 2
    return Mask(name, StructureKind.PTV, (inside <= radius_mm**2).astype(np.float32), grid)


# ------------------------------------------------------------------ a real pelvis


@cache
def real_pelvis() -> tuple[Image, dict[str, Mask]]:
    """Return the CT of `pelvis_ct` in LPS order, its masks by TG-263 names, and a right plexus."""
    import nibabel
    from scipy import ndimage

    folder = DATA / "pelvis_ct"

    def read(path: Path) -> tuple[NDArray[np.float32], tuple[float, float, float]]:
        image = nibabel.as_closest_canonical(nibabel.load(path))
        values = np.asarray(image.dataobj, dtype=np.float32)[::-1, ::-1].transpose(2, 1, 0)
        last = image.affine[:3, :3] @ [image.shape[0] - 1, image.shape[1] - 1, 0]
        x, y, z = last + image.affine[:3, 3]
        return values, (-float(x), -float(y), float(z))

    hu, origin = read(folder / "ct.nii.gz")
    grid = Grid(hu.shape, origin, (3.0, 3.0, 3.0), REAL_FRAME)
    labels, _ = ndimage.label(hu > -400)
    body = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    shapes = {"Body": np.stack([ndimage.binary_fill_holes(plane) for plane in body])}
    files = {
        "Sacrum": "sacrum",
        "Bladder": "urinary_bladder",
        "Colon_Sigmoid": "colon",
        "Bowel_Small": "small_bowel",
        "A_Iliac_R": "iliac_artery_right",
    }
    for ours, theirs in files.items():
        shapes[ours] = read(folder / "masks" / f"{theirs}.nii.gz")[0] > 0.5
    kinds = {"Body": StructureKind.EXTERNAL}
    masks = {
        name: Mask(name, kinds.get(name, StructureKind.OAR), shape.astype(np.float32), grid)
        for name, shape in shapes.items()
    }
    image = Image(np.rint(hu).astype(np.int16), grid, Modality.CT, ImageUnit.HU)
    return image, masks | {"SacralPlex_R": drawn_plexus(masks["Sacrum"])}


def drawn_plexus(sacrum: Mask) -> Mask:
    """Draw a right plexus: it leaves the front of the sacrum and runs down and out."""
    grid = sacrum.grid
    bone = grid.points(np.argwhere(sacrum.fraction > 0.5))
    top, front = bone[:, 2].max(), np.percentile(bone[:, 1], 5)
    start = np.array([bone[:, 0].mean() - 18, front + 4, top - 15])
    path = start + np.linspace(0, 1, 60)[:, None] * np.array([-22.0, 12.0, -45.0])
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij", sparse=True)
    near = np.zeros(grid.shape, dtype=bool)
    for px, py, pz in path:
        near |= (x - px) ** 2 + (y - py) ** 2 + (z - pz) ** 2 < 8.0**2
    return Mask("SacralPlex_R", StructureKind.OAR, near.astype(np.float32), grid)


@cache
def real_pelvis_prior(fineness: Fineness) -> PriorInput:
    """Plan the first course on the real pelvis: 50.4 Gy in 28 to the space before the sacrum."""
    from scipy import ndimage

    image, masks = real_pelvis()
    grid = image.grid
    bone = masks["Sacrum"].fraction > 0.5
    points = grid.points(np.argwhere(bone))
    distance = ndimage.distance_transform_edt(~bone, sampling=3.0)
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij", sparse=True)
    space = (distance <= 40) & (y < points[:, 1].mean()) & ~bone
    space &= np.abs(x - points[:, 0].mean()) <= 45
    space &= (z >= points[:, 2].min()) & (z <= points[:, 2].max())
    target = Mask("PTV_5040", StructureKind.PTV, space.astype(np.float32), grid)
    structures = contoured(masks, ("Body",), target)
    course = Course("Course 1", "Pelvis", "IMRT", (Prescription("PTV_5040", 50.4),), 28, 28)
    dose = planned_dose(image, structures, course, fineness)
    return PriorInput(course, Study(image, structures, None, dose), None)


def contoured(masks: Mapping[str, Mask], names: Sequence[str], *own: Mask) -> StructureSet:
    """Return masks as a structure set."""
    return StructureSet(
        "drawn",
        tuple(
            contours_from_mask(m.fraction, m.grid, name=m.name, kind=m.kind)
            for m in (*(masks[name] for name in names), *own)
        ),
    )


def planned_dose(
    image: Image, structures: StructureSet, course: Course, fineness: Fineness
) -> Dose:
    """Return the dose of a first course without limits, as the demo plans its own."""
    table = load_table("planning_proposal")
    planning, beams = table["planning"], table["beams"]
    body = external_of(structures)
    grid = dose_grid_for(image, body, fineness.prior_grid_mm)
    masks = rasterize_all(structures, grid)
    curve = load_hounsfield_curve(planning["hounsfield_curve"])
    medium = make_medium(image, structures, masks[body.name], grid, MediumSettings(curve))
    iso = isocenter_of(masks[course.prescriptions[0].structure])
    request = PlanRequest(
        label="Course 1",
        course=course,
        grid=medium.patient.grid,
        density=medium.density,
        masks=masks,
        body=masks[body.name],
        machine=load_machine(planning["machine"]),
        beams=coplanar_beams(
            tuple(beams["gantry_angles_deg"]), beams["collimator_angle_deg"], iso
        ),
        organ_caps=(),
        physical_caps=(),
        objectives=ObjectiveSettings(**table["objectives"]),
        settings=PlanSettings(
            column_width_mm=beams["column_width_mm"],
            field_margin_mm=beams["field_margin_mm"],
            n_correction_passes=0,
            max_evaluations=fineness.prior_evaluations,
            seed=planning["seed"],
            dose_rate_mu_min=beams["dose_rate_mu_min"],
        ),
    )
    return make_plan(request, quiet).dose


def pelvis_case(name: str, text: str, place: str, fineness: Fineness) -> ReradCase:
    """Return a recurrence in the real pelvis.

    ``presacral``: before the middle of the sacrum, right of the midline, inside the earlier
    target, in the plexus; 39 Gy in 26. ``iliac``: a node at the right iliac artery at the height
    of the upper end of the sacrum, half above the earlier target, at bowel; 50 Gy in 25.
    """
    image, masks = real_pelvis()
    bone = masks["Sacrum"].grid.points(np.argwhere(masks["Sacrum"].fraction > 0.5))
    artery = masks["A_Iliac_R"].grid.points(np.argwhere(masks["A_Iliac_R"].fraction > 0.5))
    top = artery[np.abs(artery[:, 2] - bone[:, 2].max()) < 10].mean(axis=0)
    middle, front = bone[:, 0].mean(), np.percentile(bone[:, 1], 5)
    height = 0.5 * (bone[:, 2].min() + bone[:, 2].max())
    name_of, dose_gy, n_fractions, centre, accepted = {
        "presacral": (
            "PTV_3900",
            39.0,
            26,
            np.array([middle - 15, front + 5, height]),
            (("SacralPlex_R", "the recurrence lies in the plexus"),),
        ),
        "iliac": ("PTV_5000", 50.0, 25, top, ()),
    }[place]
    target = sphere(name_of, image.grid, centre, 20.0)
    organs = ("Bladder", "Colon_Sigmoid", "Bowel_Small", "SacralPlex_R")
    today = Today(
        image,
        contoured(masks, ("Body", *organs), target),
        (Prescription(name_of, dose_gy),),
        n_fractions,
        "slevin2021",
        accepted,
    )
    return make_case(name, text, today, real_pelvis_prior(fineness), fineness)


# ------------------------------------------------------------------ a real head and neck


def read_sparse(path: Path) -> NDArray[np.float32]:
    """Return a sparse table as [k, j, i] with k to the head, j to the back, i to the left."""
    with path.open() as file:
        rows = list(csv.reader(file))[1:]
    index = np.array([int(float(row[0])) for row in rows])
    value = np.array([float(row[1]) if row[1] else 1.0 for row in rows])
    flat = np.zeros(128**3, dtype=np.float32)
    flat[index] = value
    return flat.reshape(128, 128, 128).transpose(2, 0, 1)[::-1]


@cache
def neck() -> tuple[Image, dict[str, Mask], PriorInput]:
    """Return CT, masks and the earlier course of `openkbp_pt302`.

    Dose is on record in part of the slices only; elsewhere it is unknown. So cord and brainstem
    are taken as far as the dose is known, and the lowest cord is nobody's in these cases.
    """
    from scipy import ndimage

    folder = DATA / "openkbp_pt302" / "provided-data" / "test-pats" / "pt_302"
    hu = read_sparse(folder / "ct.csv") - 1024.0
    kept = np.flatnonzero((hu > -1000).any(axis=(1, 2)))
    part = slice(int(kept[0]), int(kept[-1]) + 1)
    spacing = (3.906, 3.906, 3.0)
    shape = (kept[-1] - kept[0] + 1, 128, 128)
    grid = Grid(shape, (-248.0, -248.0, 0.0), spacing, NECK_FRAME)
    image = Image(
        np.rint(np.maximum(hu[part], AIR_HU)).astype(np.int16), grid, Modality.CT, ImageUnit.HU
    )
    known = read_sparse(folder / "possible_dose_mask.csv")[part] > 0
    dose = np.where(known, read_sparse(folder / "dose.csv")[part], np.float32(np.nan))
    labels, _ = ndimage.label(hu[part] > -400)
    body = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    shapes = {"Body": np.stack([ndimage.binary_fill_holes(plane) for plane in body])}
    for name in ("Brainstem", "SpinalCord"):
        shapes[name] = (read_sparse(folder / f"{name}.csv")[part] > 0) & known
    kinds = {"Body": StructureKind.EXTERNAL}
    masks = {
        name: Mask(name, kinds.get(name, StructureKind.OAR), shape_.astype(np.float32), grid)
        for name, shape_ in shapes.items()
    }
    # The cord ends a slice before the known dose does: interpolation needs both neighbours.
    inner = ndimage.binary_erosion(known, np.ones((3, 1, 1), dtype=bool))
    for name in ("Brainstem", "SpinalCord"):
        masks[name] = replace(masks[name], fraction=masks[name].fraction * inner)
    levels = (("PTV70", 70.0), ("PTV63", 63.0), ("PTV56", 56.0))
    course = Course(
        "Course 1",
        "Head and neck",
        "IMRT",
        tuple(Prescription(*level) for level in levels),
        35,
        35,
    )
    prior = PriorInput(course, Study(image, dose=Dose(dose, grid)), None)
    return image, masks, prior


def neck_case(
    name: str, text: str, place: str, interval_months: float | None, fineness: Fineness
) -> ReradCase:
    """Return a recurrence in the neck inside the earlier high dose.

    ``retropharyngeal``: left of the midline before the first vertebrae, 20 mm before the upper
    end of the cord. ``vertebral``: beside and before the cord in the middle of the neck.
    """
    image, masks, prior = neck()
    cord = masks["SpinalCord"]
    points = cord.grid.points(np.argwhere(cord.fraction > 0.5))
    top = points[points[:, 2] > points[:, 2].max() - 12].mean(axis=0)
    z_middle = 0.5 * (points[:, 2].min() + points[:, 2].max())
    middle = points[np.abs(points[:, 2] - z_middle) < 6].mean(axis=0)
    centre = {
        "retropharyngeal": top + np.array([15.0, -22.0, 6.0]),
        "vertebral": middle + np.array([18.0, -18.0, 0.0]),
    }[place]
    target = sphere("PTV_6000", image.grid, centre, 17.0)
    today = Today(
        image,
        contoured(masks, ("Body", "Brainstem", "SpinalCord"), target),
        (Prescription("PTV_6000", 60.0),),
        30,
        "umich",
    )
    prior = replace(prior, interval_months=interval_months)
    return make_case(name, text, today, prior, fineness)


NEEDS = {"pelvis CT": "pelvis_ct", "neck": "openkbp_pt302"}
"""Data folder of the cases whose names begin so."""


def all_cases(fineness: Fineness) -> dict[str, Callable[[], ReradCase]]:
    """Return how to make each case whose data are there, by name."""
    return {
        name: make
        for name, make in _every_case(fineness).items()
        if all((DATA / folder).is_dir() for key, folder in NEEDS.items() if name.startswith(key))
    }


def case_names() -> tuple[str, ...]:
    """Return the names of all cases, whether their data are there or not."""
    return tuple(_every_case(Fineness()))


def _every_case(fineness: Fineness) -> dict[str, Callable[[], ReradCase]]:
    return {
        "demo": lambda: demo_case(
            "demo", "published case: nerve roots 40/36 Gy in 22; 55/45 Gy in 25", fineness
        ),
        "demo, prior x 0.8": lambda: demo_case(
            "demo, prior x 0.8", "the same after 44/36 Gy in 25", fineness, factor=0.8
        ),
        "demo, prior 40 mm lower": lambda: demo_case(
            "demo, prior 40 mm lower",
            "the same, the earlier fields ended 40 mm further down",
            fineness,
            shift_z_mm=-40.0,
        ),
        "demo, iliac node": lambda: demo_node("demo, iliac node", fineness),
        "pelvis CT, presacral": lambda: pelvis_case(
            "pelvis CT, presacral",
            "real pelvis: presacral recurrence 39 Gy in 26; 50.4 Gy in 28 planned by rerad",
            "presacral",
            fineness,
        ),
        "pelvis CT, iliac node": lambda: pelvis_case(
            "pelvis CT, iliac node",
            "real pelvis: node at the upper edge of the earlier target, 50 Gy in 25; 50.4 in 28",
            "iliac",
            fineness,
        ),
        "neck, retropharyngeal": lambda: neck_case(
            "neck, retropharyngeal",
            "real neck: node before C1, 60 Gy in 30, 24 months after 70/63/56 Gy in 35",
            "retropharyngeal",
            24.0,
            fineness,
        ),
        "neck, beside the cord": lambda: neck_case(
            "neck, beside the cord",
            "real neck: recurrence beside the cord, 60 Gy in 30; interval unknown, no recovery",
            "vertebral",
            None,
            fineness,
        ),
    }
