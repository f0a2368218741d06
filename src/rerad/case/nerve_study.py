"""Nerves of a case measured: centre lines, diameters, uptake, right against left."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from rerad.case.nerve_schema import NervesTable
from rerad.core import (
    Finding,
    Image,
    Mask,
    NervePath,
    Severity,
    Structure,
    StructureKind,
    StructureSet,
)
from rerad.errors import InputError
from rerad.nerves import (
    NerveComparison,
    NerveMeasurement,
    ReferenceUptake,
    Resolution,
    UptakeProfile,
    compare_sides,
    fill_from_contours,
    measure_caliber,
    measure_uptake,
    meeting_findings,
    normal_root,
    path_from_structure,
    proposal_findings,
    propose_paths,
    reference_uptake,
    track_path,
)
from rerad.nerves.caliber import CaliberProfile
from rerad.structures import rasterize
from rerad.tables import load_table


@dataclass(frozen=True, eq=False, slots=True)
class NerveScan:
    """Images and contours of one frame of reference.

    Parameters
    ----------
    image : Image
        Planning CT.
    structures : StructureSet
        Drawn on it.
    pet_suv, mr : Image or None
        In the same frame.
    """

    image: Image
    structures: StructureSet
    pet_suv: Image | None
    mr: Image | None


@dataclass(frozen=True, eq=False, slots=True)
class NerveStudy:
    """What was found along the nerves.

    Parameters
    ----------
    paths : mapping of str to NervePath
        Centre lines, before the diameter fit moved them.
    measurements : mapping of str to NerveMeasurement
        Diameters and uptake.
    comparisons : tuple of NerveComparison
        Of the same roots: right against left, against normal roots and tissues.
    findings : tuple of Finding
        What to weigh.
    proposals : mapping of str to NervePath
        From bone points, for review: nothing is measured along them.
    references : tuple of ReferenceUptake
        Uptake of the tissues that were compared with.
    """

    paths: Mapping[str, NervePath] = field(default_factory=dict)
    measurements: Mapping[str, NerveMeasurement] = field(default_factory=dict)
    comparisons: tuple[NerveComparison, ...] = ()
    findings: tuple[Finding, ...] = ()
    proposals: Mapping[str, NervePath] = field(default_factory=dict)
    references: tuple[ReferenceUptake, ...] = ()


def require_nerves(scan: NerveScan, table: NervesTable) -> None:
    """Raise if something is missing that the table asks for, before anything is measured.

    Raises
    ------
    InputError
        If there is no MR to track on, or no point spread of the PET.
    MissingDataError
        If a structure is not there.
    """
    for name in (
        *table.roots.values(),
        *(n for names in table.references.values() for n in names),
    ):
        scan.structures[name]
    if table.clicks and table.track_on == "MR" and scan.mr is None:
        msg = "[nerves]: expected an MR to track the clicks on, there is none; use track_on = 'CT'"
        raise InputError(msg)
    if scan.pet_suv is not None and None in (table.pet_fwhm_mm, table.pet_fwhm_sd_mm):
        msg = (
            "[nerves]: expected pet_fwhm_mm and pet_fwhm_sd_mm, because there is a PET, got "
            "neither or one; state them, as reconstructed"
        )
        raise InputError(msg)


def study_nerves(scan: NerveScan, table: NervesTable) -> NerveStudy:
    """Measure the nerves that a case or recipe names.

    Parameters
    ----------
    scan : NerveScan
        What was read.
    table : NervesTable
        Which nerves, along what, and the scanners' point spreads.

    Returns
    -------
    NerveStudy

    Raises
    ------
    InputError
        If an image or a point spread is missing that the table asks for.
    MissingDataError
        If a structure is not there.
    """
    require_nerves(scan, table)
    paths = paths_of(scan, table)
    measured = {name: _measured(scan, table, path) for name, path in paths.items()}
    references: tuple[ReferenceUptake, ...] = ()
    if scan.pet_suv is not None:
        pet, drawn = scan.pet_suv, table.references
        references = tuple(_reference(scan, pet, name, names) for name, names in drawn.items())
    comparisons = tuple(
        compare_sides(one, measured.get(_other(name)), references)
        for name, one in measured.items()
    )
    proposals = proposed(scan, table)
    findings = (
        *meeting_findings([one.caliber.path for one in measured.values()]),
        *_flags(comparisons),
        *proposal_findings(tuple(proposals.values())),
    )
    return NerveStudy(paths, measured, comparisons, findings, proposals, references)


def proposed(scan: NerveScan, table: NervesTable) -> dict[str, NervePath]:
    """Return the paths proposed from bone points, but those that are drawn or clicked."""
    if not table.bone_points:
        return {}
    known = {*table.roots, *table.clicks}
    found = propose_paths(scan.image, table.bone_points)
    return {name: path for name, path in found.items() if name not in known}


def paths_of(scan: NerveScan, table: NervesTable) -> dict[str, NervePath]:
    """Return the centre line of every root: tracked where it was clicked, else as contoured."""
    paths = {
        name: path_from_structure(scan.structures[drawn], name=name)
        for name, drawn in table.roots.items()
        if name not in table.clicks
    }
    image = scan.mr if table.track_on == "MR" and scan.mr is not None else scan.image
    for name, points in table.clicks.items():
        paths[name] = track_path(image, points, name=name)
    return {name: paths[name] for name in dict.fromkeys((*table.roots, *table.clicks))}


def _measured(scan: NerveScan, table: NervesTable, path: NervePath) -> NerveMeasurement:
    """Return diameters and, where there is a PET, uptake along one path."""
    contoured_sd_mm = load_table("nerve_rules")["contoured_diameter"]["sd_mm"]
    resolution = Resolution(table.ct_fwhm_mm, table.ct_fwhm_sd_mm)
    caliber = measure_caliber(scan.image, path, resolution)
    if path.name in table.roots:
        drawn: Structure = scan.structures[table.roots[path.name]]
        caliber = fill_from_contours(caliber, drawn, sd_mm=contoured_sd_mm)
    uptake = None if scan.pet_suv is None else _uptake(scan.pet_suv, table, caliber)
    return NerveMeasurement(path.name, caliber, uptake)


def _uptake(pet: Image, table: NervesTable, caliber: CaliberProfile) -> UptakeProfile:
    """Return the recovered uptake along one path."""
    assert table.pet_fwhm_mm is not None
    assert table.pet_fwhm_sd_mm is not None
    contoured_sd_mm = load_table("nerve_rules")["contoured_diameter"]["sd_mm"]
    normal = normal_root(caliber.path.name.rsplit("_", 1)[0])
    known = caliber.diameter_mm[np.isfinite(caliber.diameter_mm)]
    usual = float(np.median(known)) if len(known) else 5.0
    otherwise = (normal.mean_mm, normal.sd_mm) if normal else (usual, contoured_sd_mm)
    resolution = Resolution(table.pet_fwhm_mm, table.pet_fwhm_sd_mm)
    return measure_uptake(pet, caliber, resolution, otherwise=otherwise)


def _reference(scan: NerveScan, pet: Image, name: str, drawn: tuple[str, ...]) -> ReferenceUptake:
    """Return the uptake of several structures counted together."""
    share = np.zeros(pet.grid.shape, dtype=np.float32)
    for structure in drawn:
        mask = rasterize(scan.structures[structure], pet.grid)
        np.maximum(share, mask.on(pet.grid), out=share)
    whole = Mask(name, StructureKind.OTHER, share, pet.grid)
    return reference_uptake(pet, whole, name=name)


def _other(name: str) -> str:
    """Return the name of the same root of the other side."""
    return name[:-1] + {"L": "R", "R": "L"}.get(name[-1], "?")


def _flags(comparisons: tuple[NerveComparison, ...]) -> list[Finding]:
    """Return a finding for every root that is pointed out."""
    return [
        Finding(
            Severity.CAUTION,
            "nerve-flagged",
            f"{c.name} is thicker and more avid than the rules allow for a normal root; none of "
            "the rules is validated, and this is no diagnosis",
            c.name,
        )
        for c in comparisons
        if c.is_flagged
    ]
