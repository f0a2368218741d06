"""Outlines of uptake on PET by the methods that the field uses: proposals, never a GTV.

Every method is named with its threshold and source. What is thinner than the scanner resolves is
said to be so: a threshold outline of a 5 mm nerve draws the point spread, not the nerve. A
proposal becomes a structure only through `accept_proposal`, which needs the name of a person.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, generate_binary_structure, label, maximum_filter
from skimage.segmentation import watershed

from rerad.core import Finding, Grid, Image, Mask, Severity, StructureKind
from rerad.errors import InputError, MissingDataError
from rerad.pet.statistics import PEAK_VOLUME_CC, sphere_means


class PetMethod(StrEnum):
    """How the outline is found, with its source."""

    FIXED = "fixed SUV threshold"
    SHARE_OF_MAXIMUM = "share of the SUVmax"
    ADAPTIVE = "adaptive: midway between background and SUV peak"
    PERCIST_LIVER = "PERCIST: 1.5 x mean + 2 SD of liver"
    BLOOD_POOL = "PERCIST: 2 x mean + 2 SD of blood pool"
    GRADIENT = "gradient: watershed on the edge of uptake"
    REGION_IN_TUBE = "region growing in the nerve's tube"


SOURCE_OF = {
    PetMethod.FIXED: "Cancers 2020;12:601, Table 2",
    PetMethod.SHARE_OF_MAXIMUM: "Boellaard et al. 2015, doi:10.1007/s00259-014-2961-x (41 %)",
    PetMethod.ADAPTIVE: "Schaefer et al. 2008, doi:10.1007/s00259-008-0875-1 (form, not its "
    "coefficients, which belong to a scanner)",
    PetMethod.PERCIST_LIVER: "Cancers 2020;12:601, Table 2",
    PetMethod.BLOOD_POOL: "Cancers 2020;12:601, Table 2",
    PetMethod.GRADIENT: "Geets et al. 2007, doi:10.1007/s00259-006-0363-4 (idea, no deblurring)",
    PetMethod.REGION_IN_TUBE: "of this project, not validated",
}
"""Where each method comes from."""


@dataclass(frozen=True, eq=False, slots=True)
class DelineationProposal:
    """An outline for a person to look at; it is no structure and has no kind.

    Parameters
    ----------
    name : str
        What was outlined.
    inside : ndarray of bool of shape (K, J, I)
        Voxels of the PET.
    grid : Grid
        Of the PET.
    method : PetMethod
        How.
    threshold : float
        In SUV; NaN for a method without one.
    source : str
        Citation of the method.
    findings : tuple of Finding
        What to weigh before accepting it.
    """

    name: str
    inside: NDArray[np.bool_]
    grid: Grid
    method: PetMethod
    threshold: float
    source: str
    findings: tuple[Finding, ...]

    @property
    def volume_cc(self) -> float:
        """Volume in cubic centimetres."""
        return float(self.inside.sum()) * self.grid.voxel_volume_cc


@dataclass(frozen=True, slots=True)
class DelineationTask:
    """Where to outline and how finely the scanner sees.

    Parameters
    ----------
    name : str
        Of the object.
    seed_mm : tuple of float
        ``(x, y, z)`` of a point in it.
    reach_mm : float
        How far from the seed it may extend.
    fwhm_mm : float
        Point spread of the PET.
    """

    name: str
    seed_mm: tuple[float, float, float]
    reach_mm: float
    fwhm_mm: float

    def __post_init__(self) -> None:
        if not (self.reach_mm > 0 and self.fwhm_mm > 0):
            msg = f"{self.name}: expected a reach and a resolution above 0 mm"
            raise InputError(msg)


def by_threshold(
    suv: Image, task: DelineationTask, threshold: float, method: PetMethod = PetMethod.FIXED
) -> DelineationProposal:
    """Propose the voxels above a threshold that hang together with the seed.

    Parameters
    ----------
    suv : Image
        PET in SUV.
    task : DelineationTask
        Where.
    threshold : float
        In SUV; the user's choice, or from another method.
    method : PetMethod
        Where the threshold comes from.

    Returns
    -------
    DelineationProposal

    Raises
    ------
    InputError
        If nothing near the seed reaches the threshold.
    """
    allowed = _reach(suv, task)
    inside = _connected(allowed & (suv.values >= threshold), _start(suv, task, allowed))
    return _proposal(suv, task, inside, (method, float(threshold)))


def by_share_of_maximum(suv: Image, task: DelineationTask, *, share: float) -> DelineationProposal:
    """Propose the voxels above a share of the largest SUV near the seed.

    `share` is the user's choice, such as 0.41; other parameters and errors as `by_threshold`.
    """
    if not 0 < share < 1:
        msg = f"{task.name}: expected a share of the maximum between 0 and 1, got {share}"
        raise InputError(msg)
    peak = float(suv.values[_reach(suv, task)].max())
    return by_threshold(suv, task, share * peak, PetMethod.SHARE_OF_MAXIMUM)


def by_adaptive_threshold(
    suv: Image, task: DelineationTask, *, background: float, share: float = 0.5
) -> DelineationProposal:
    r"""Propose the voxels above a threshold between background and peak.

    .. math:: T = B + q\,(P - B)

    with P the largest mean over a sphere of 1 cc; q = 1/2 is where the flat edge of a large object
    lies under any symmetric point spread.

    Parameters
    ----------
    suv, task
        As `by_threshold`.
    background : float
        SUV around the object.
    share : float
        q.
    """
    means = sphere_means(suv, PEAK_VOLUME_CC)[_reach(suv, task)]
    peak = float(np.nanmax(means)) if np.any(np.isfinite(means)) else np.nan
    if not peak > background:
        msg = f"{task.name}: expected uptake above the background {background:.2f}, got {peak:.2f}"
        raise InputError(msg)
    return by_threshold(suv, task, background + share * (peak - background), PetMethod.ADAPTIVE)


def by_reference(
    suv: Image, task: DelineationTask, *, tissue: str, mean_sd: tuple[float, float]
) -> DelineationProposal:
    """Propose the voxels above the PERCIST threshold of liver or blood pool.

    Parameters
    ----------
    suv, task
        As `by_threshold`.
    tissue : str
        ``liver`` or ``blood pool``.
    mean_sd : tuple of float
        Mean and standard deviation of its SUV.

    Raises
    ------
    MissingDataError
        If the tissue is another.
    """
    rules = {"liver": (PetMethod.PERCIST_LIVER, 1.5), "blood pool": (PetMethod.BLOOD_POOL, 2.0)}
    if tissue not in rules:
        msg = f"expected liver or blood pool as the reference tissue, got {tissue}; measure one"
        raise MissingDataError(msg)
    method, factor = rules[tissue]
    return by_threshold(suv, task, factor * mean_sd[0] + 2 * mean_sd[1], method)


def by_gradient(suv: Image, task: DelineationTask) -> DelineationProposal:
    """Propose the basin around the seed that the crest of the gradient encloses.

    The gradient is taken over half the point spread; markers are the seed's peak and the rim of
    the reach.
    """
    allowed = _reach(suv, task)
    sigma = 0.25 * task.fwhm_mm / np.asarray(suv.grid.spacing_mm)[::-1]
    smooth = gaussian_filter(suv.values.astype(np.float64), sigma)
    slope = np.sqrt(
        sum(
            (g / s) ** 2
            for g, s in zip(np.gradient(smooth), suv.grid.spacing_mm[::-1], strict=True)
        )
    )
    markers = np.zeros(suv.grid.shape, dtype=np.int32)
    rim = allowed & ~_reach(suv, replace(task, reach_mm=max(task.reach_mm - task.fwhm_mm, 1.0)))
    markers[rim] = 2
    markers[_start(suv, task, allowed)] = 1
    inside = watershed(slope, markers, mask=allowed) == 1  # type: ignore[no-untyped-call]
    return _proposal(suv, task, inside, (PetMethod.GRADIENT, np.nan))


def by_region_in_tube(
    suv: Image, task: DelineationTask, tube: Mask, *, threshold: float
) -> DelineationProposal:
    """Propose the voxels above a threshold, grown from the seed, within a nerve's tube only.

    Parameters
    ----------
    suv, task, threshold
        As `by_threshold`.
    tube : Mask
        Volume around the nerve's path on a crop of the PET's grid.
    """
    allowed = _reach(suv, task) & (tube.on(suv.grid) > 0)
    if not allowed.any():
        msg = (
            f"{task.name}: expected the seed near the nerve's tube, got one farther than the reach"
        )
        raise InputError(msg)
    inside = _connected(allowed & (suv.values >= threshold), _start(suv, task, allowed))
    return _proposal(suv, task, inside, (PetMethod.REGION_IN_TUBE, float(threshold)))


@dataclass(frozen=True, eq=False, slots=True)
class AcceptedOutline:
    """A proposal that a person took over.

    Parameters
    ----------
    mask : Mask
        Of kind GTV.
    accepted_by : str
        Who.
    proposal : DelineationProposal
        What was proposed, unchanged.
    """

    mask: Mask
    accepted_by: str
    proposal: DelineationProposal


def accept_proposal(
    proposal: DelineationProposal, *, accepted_by: str, name: str
) -> AcceptedOutline:
    """Turn a proposal into a GTV on the word of a person.

    Parameters
    ----------
    proposal : DelineationProposal
        Looked at.
    accepted_by : str
        Name of who accepts it; there is no default.
    name : str
        TG-263 name of the volume.

    Raises
    ------
    InputError
        If nobody is named or nothing is proposed.
    """
    if not accepted_by.strip():
        msg = f"{proposal.name}: expected the name of who accepts the outline, got none"
        raise InputError(msg)
    if not proposal.inside.any():
        msg = f"{proposal.name}: expected an outline with voxels, got an empty one"
        raise InputError(msg)
    mask = Mask(name, StructureKind.GTV, proposal.inside.astype(np.float32), proposal.grid)
    return AcceptedOutline(mask, accepted_by.strip(), proposal)


def _reach(suv: Image, task: DelineationTask) -> NDArray[np.bool_]:
    """Return the ball of the task."""
    x, y, z = suv.grid.axes_mm
    sx, sy, sz = task.seed_mm
    squares = (
        ((z - sz) ** 2)[:, None, None]
        + ((y - sy) ** 2)[None, :, None]
        + ((x - sx) ** 2)[None, None, :]
    )
    allowed = squares <= task.reach_mm**2
    if not allowed.any():
        msg = f"{task.name}: expected a seed inside the PET, got {task.seed_mm}; click again"
        raise InputError(msg)
    return np.asarray(allowed)


def _start(suv: Image, task: DelineationTask, allowed: NDArray[np.bool_]) -> tuple[int, int, int]:
    """Return the local maximum within reach that lies nearest to the seed."""
    values = np.where(allowed, suv.values, -np.inf)
    tops = np.argwhere(allowed & (values >= maximum_filter(values, size=3)))
    away = np.linalg.norm(suv.grid.points(tops) - np.asarray(task.seed_mm), axis=1)
    # A bump of noise beside the seed shall not win over the uptake around it.
    height = suv.values[tuple(tops.T)]
    k, j, i = tops[np.argmax(height - 0.02 * away * max(float(height.max()), 0.0))]
    return int(k), int(j), int(i)


def _connected(candidates: NDArray[np.bool_], start: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Return the part that holds the start."""
    if not candidates[start]:
        return np.zeros_like(candidates)
    parts, _ = label(candidates, generate_binary_structure(3, 1))
    return np.asarray(parts == parts[start])


def _proposal(
    suv: Image,
    task: DelineationTask,
    inside: NDArray[np.bool_],
    how: tuple[PetMethod, float],
) -> DelineationProposal:
    method, threshold = how
    if not inside.any():
        msg = (
            f"{task.name}: nothing near the seed reaches the threshold of SUV {threshold:.2f} "
            f"({method}); choose another, or see whether there is uptake at all"
        )
        raise InputError(msg)
    findings = _resolution_findings(suv.grid, task, inside)
    if np.any(
        inside & ~_reach(suv, replace(task, reach_mm=task.reach_mm - _rim_mm(suv.grid, task)))
    ):
        text = f"{task.name} reaches the edge of the {task.reach_mm:g} mm allowed; it may leak"
        findings.append(Finding(Severity.CAUTION, "outline-at-reach", text, task.name))
    return DelineationProposal(
        task.name, inside, suv.grid, method, threshold, SOURCE_OF[method], tuple(findings)
    )


def _rim_mm(grid: Grid, task: DelineationTask) -> float:
    return min(max(grid.spacing_mm), 0.5 * task.reach_mm)


def _resolution_findings(
    grid: Grid, task: DelineationTask, inside: NDArray[np.bool_]
) -> list[Finding]:
    """Say so where an outline is thinner than twice the point spread."""
    at = grid.points(np.argwhere(inside))
    spread = np.cov(at.T) if len(at) > 3 else np.zeros((3, 3))
    spread = spread + np.diag(np.asarray(grid.spacing_mm) ** 2 / 12)
    # An ellipsoid of width w has a variance of w²/20 along it.
    widths = np.sqrt(20 * np.linalg.eigvalsh(spread))
    if widths[0] >= 2 * task.fwhm_mm:
        return []
    text = (
        f"{task.name} is outlined {widths[0]:.1f} mm wide on a PET of {task.fwhm_mm:g} mm "
        "resolution: the outline shows the point spread more than the object; take its size from "
        "CT or MR"
    )
    return [Finding(Severity.SERIOUS, "outline-below-resolution", text, task.name)]
