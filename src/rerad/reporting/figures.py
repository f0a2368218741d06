"""Every figure of a report: which there are, and drawing them into files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from rerad.planning.result import CaseResult
from rerad.reporting import figures_beams, figures_dose, figures_dvh, figures_images, style
from rerad.reporting.content import nerve_alpha_beta_gy
from rerad.reporting.content_nerves import PREFIX
from rerad.reporting.figures_deformable import draw_deformation
from rerad.reporting.figures_nerve import NervePictures, nerve_makers
from rerad.reporting.figures_price import draw_price
from rerad.reporting.timeline import draw_timeline

Draw = Callable[[], Figure]

SETTINGS: dict[Any, Any] = {
    "font.family": style.FONT["family"],
    "font.size": style.FONT["size"],
    "axes.labelsize": 7,
    "axes.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "savefig.facecolor": style.PAPER,
}
"""Of every figure."""


def figure_makers(result: CaseResult, nerves: NervePictures | None = None) -> dict[str, Draw]:
    """Return, for each key of a picture in the content, the function that draws it."""
    makers: dict[str, Draw] = {"timeline": lambda: draw_timeline(result)}
    if nerves is not None and (nerves.comparisons or nerves.proposals):
        drawn = nerve_makers(nerves)
        # The report has the table as text.
        drawn.pop("nerve_table", None)
        makers |= {f"{PREFIX}{name}": make for name, make in drawn.items()}
    for number, prior in enumerate(result.priors, 1):
        if prior.is_mapped:
            makers[f"registration_{number}"] = lambda prior=prior: (  # type: ignore[misc]
                figures_images.draw_registration(result, prior)
            )
        if prior.deformation is not None:
            makers[f"deformable_{number}"] = lambda prior=prior: (  # type: ignore[misc]
                draw_deformation(result, prior)
            )
    if result.budget:
        makers["budget"] = lambda: figures_dvh.draw_budget(result)
    makers["plan"] = lambda: figures_dose.draw_plan(result)
    alpha_beta = nerve_alpha_beta_gy(result)
    if alpha_beta is not None:
        prior_doses = [
            (prior.course.name, prior.eqd2_on_planning[alpha_beta])
            for prior in result.priors
            if alpha_beta in prior.eqd2_on_planning
        ]
        states = [s for s in (result.planned, result.delivered) if s is not None]
        sums = [(s.label, s.cumulative[alpha_beta]) for s in states]
        limit_gy = figures_dose.raw_limit_gy(result, alpha_beta)
        isodoses = figures_dose.eqd2_isodoses(result.planned.cumulative[alpha_beta], limit_gy)
        if prior_doses:
            makers["prior"] = lambda: figures_dose.draw_eqd2(result, prior_doses, isodoses)
        makers["cumulative"] = lambda: figures_dose.draw_eqd2(result, sums, isodoses)
    if result.pet_suv is not None or result.mr is not None:
        makers["fusion"] = lambda: figures_images.draw_fusion(result)
    makers["dvh_physical"] = lambda: figures_dvh.draw_dvh_physical(result)
    if result.planned.cumulative_dvhs:
        makers["dvh_cumulative"] = lambda: figures_dvh.draw_dvh_cumulative(result)
    prices = result.prices
    if prices is not None and prices.is_mapped:
        makers["price"] = lambda: draw_price(result, prices.map)
    makers["beams"] = lambda: figures_beams.draw_beams(result)
    makers["convergence"] = lambda: figures_beams.draw_convergence(result)
    return makers


def draw_figures(
    result: CaseResult,
    folder: Path,
    progress: Callable[[str], None],
    nerves: NervePictures | None = None,
) -> dict[str, Path]:
    """Draw every figure of a result as PNG.

    Parameters
    ----------
    result : CaseResult
        What to show.
    folder : Path
        Where the files go; it must exist.
    progress : callable
        Called with what is being drawn.
    nerves : NervePictures or None
        Nerve roots that were measured.

    Returns
    -------
    dict of str to Path
        Files by the key of their picture, in the order of the report.
    """
    paths = {}
    with matplotlib.rc_context(SETTINGS):
        for key, make in figure_makers(result, nerves).items():
            progress(f"figure {key}")
            path = folder / f"{key}.png"
            style.save(make(), path)
            paths[key] = path
    return paths
