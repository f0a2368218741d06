"""Dose from beams: beam model, fluence, a matrix-free operator and the dose that is reported.

Limits: photons of linear accelerators; tissue is water of another density; dose to water. The
pencil beam of the optimiser is several percent high in and behind lung; the collapsed cone of the
final dose is not. See ``docs/methods/photon-dose.md``.
"""

from rerad.dosecalc.apertures import aperture_exposure, aperture_fluence, aperture_raster
from rerad.dosecalc.arcs import static_parts
from rerad.dosecalc.beam_model import KernelComponents, decompose_kernel
from rerad.dosecalc.bixels import join_fluence, make_bixel_grid, split_fluence
from rerad.dosecalc.body import body_voxels, border_share, dose_in_body
from rerad.dosecalc.commission import (
    ProfileAxis,
    SlabLayer,
    WaterTankSetup,
    depth_dose,
    output_factor,
    profile,
    tpr_20_10,
)
from rerad.dosecalc.cone_dose import ConeDoseSettings, cone_beam_dose
from rerad.dosecalc.cone_kernels import ConeSettings
from rerad.dosecalc.final_dose import Engine, FinalDoseSettings, final_dose
from rerad.dosecalc.incident import IncidentMaps, collimator_scatter_factor, incident_maps
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
    "ConeDoseSettings",
    "ConeSettings",
    "DoseOperator",
    "Engine",
    "FinalDoseSettings",
    "IncidentMaps",
    "KernelComponents",
    "OperatorSettings",
    "PencilBeamOperator",
    "PencilDoseSettings",
    "ProfileAxis",
    "Raster",
    "SlabLayer",
    "WaterTankSetup",
    "aperture_exposure",
    "aperture_fluence",
    "aperture_raster",
    "beam_dose",
    "body_voxels",
    "border_share",
    "build_operator",
    "collimator_scatter_factor",
    "cone_beam_dose",
    "decompose_kernel",
    "depth_dose",
    "dose_in_body",
    "final_dose",
    "incident_maps",
    "join_fluence",
    "load_machine",
    "make_bixel_grid",
    "output_factor",
    "profile",
    "radiological_depth_exact",
    "raster_over",
    "split_fluence",
    "static_parts",
    "tpr_20_10",
]
