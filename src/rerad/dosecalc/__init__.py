"""Dose from beams: beam model, fluence, a matrix-free operator and the dose that is reported.

Limits: 6 MV photons; pencil beams scaled by radiological depth along their own ray, which is
several percent high in and behind lung; dose to water; no head scatter, no electron
contamination, no tongue and groove. See ``docs/methods/photon-dose.md``.
"""

from rerad.dosecalc.apertures import aperture_fluence, aperture_raster
from rerad.dosecalc.beam_model import KernelComponents, decompose_kernel
from rerad.dosecalc.bixels import join_fluence, make_bixel_grid, split_fluence
from rerad.dosecalc.body import body_voxels, border_share
from rerad.dosecalc.commission import (
    ProfileAxis,
    SlabLayer,
    WaterTankSetup,
    depth_dose,
    output_factor,
    profile,
    tpr_20_10,
)
from rerad.dosecalc.final_dose import Engine, FinalDoseSettings, final_dose
from rerad.dosecalc.machine import load_machine
from rerad.dosecalc.operator import (
    DoseOperator,
    OperatorSettings,
    PencilBeamOperator,
    build_operator,
)
from rerad.dosecalc.pencil_dose import PencilDoseSettings, beam_dose
from rerad.dosecalc.projection import radiological_depth_exact
from rerad.dosecalc.raster import Raster, raster_over

__all__ = [
    "DoseOperator",
    "Engine",
    "FinalDoseSettings",
    "KernelComponents",
    "OperatorSettings",
    "PencilBeamOperator",
    "PencilDoseSettings",
    "ProfileAxis",
    "Raster",
    "SlabLayer",
    "WaterTankSetup",
    "aperture_fluence",
    "aperture_raster",
    "beam_dose",
    "body_voxels",
    "border_share",
    "build_operator",
    "decompose_kernel",
    "depth_dose",
    "final_dose",
    "join_fluence",
    "load_machine",
    "make_bixel_grid",
    "output_factor",
    "profile",
    "radiological_depth_exact",
    "raster_over",
    "split_fluence",
    "tpr_20_10",
]
