"""Machines as objects of the core, from the files in ``tables/machines``."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rerad.core import (
    ElectronContamination,
    HeadScatter,
    Machine,
    Mlc,
    PencilKernel,
    PhotonBeam,
    ReferenceCondition,
    Spectrum,
)
from rerad.dosecalc.pencil_kernel import derive_pencil_kernel
from rerad.errors import InputError, MissingDataError
from rerad.tables.machines_load import machine_names, read_machine_tables, read_pencil_kernel


def load_machine(name_or_path: str | Path, *, beam: str | None = None) -> Machine:
    """Load a machine that ships with rerad, or one that a user describes.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a shipped machine (``"generic_6mv"``), or path of a TOML file like the shipped
        ones. Pencil kernels are derived from the spectrum, unless a beam names a kernel file
        (``kernel = "mine.json"``), which is looked for beside it.
    beam : str, optional
        Which of its beams, for example ``"6X-FFF"``; the first in the file by default.

    Returns
    -------
    Machine
        Checked as far as the core types check.

    Raises
    ------
    MissingDataError
        If there is no such file.
    InputError
        If a key is missing, unknown or of the wrong type, or there is no such beam.
    """
    try:
        return _machine_from(*read_machine_tables(name_or_path, beam=beam))
    except FileNotFoundError as error:
        msg = (
            f"machine {name_or_path}: file {error.filename} is not there; give a path, or one of "
        )
        msg += ", ".join(machine_names())
        raise MissingDataError(msg) from error
    except (KeyError, TypeError, ValueError) as error:
        what = error.args[0] if isinstance(error, KeyError) else error
        msg = f"machine {name_or_path}: {what}; compare with tables/machines/generic_6mv.toml"
        raise InputError(msg) from error


def _pair(values: Any) -> tuple[float, float]:
    """Two numbers from a file."""
    first, second = values
    return float(first), float(second)


def _machine_from(table: dict[str, Any], beam_name: str, folder: Path) -> Machine:
    """Build the machine from the sections of its file."""
    m, jaws = table["machine"], table["jaws"]
    x_limits = jaws.get("x_limits_mm")
    return Machine(
        name=m["name"],
        manufacturer=m["manufacturer"],
        model=m["model"],
        sad_mm=float(m["sad_mm"]),
        jaw_x_limits_mm=None if x_limits is None else _pair(x_limits),
        jaw_y_limits_mm=_pair(jaws["y_limits_mm"]),
        jaw_transmission=float(jaws["transmission"]),
        mlc=_mlc_from(table["mlc"]),
        beam=_beam_from(table["beams"][beam_name], beam_name, folder),
        is_commissioned=bool(m["is_commissioned"]),
        source=str(m["source"]),
    )


def _mlc_from(mlc: dict[str, Any]) -> Mlc:
    """Build the collimator."""
    return Mlc(
        leaf_boundaries_mm=np.asarray(mlc["leaf_boundaries_mm"], dtype=np.float64),
        leaf_position_min_mm=float(mlc["leaf_position_min_mm"]),
        leaf_position_max_mm=float(mlc["leaf_position_max_mm"]),
        leaf_span_max_mm=float(mlc["leaf_span_max_mm"]),
        leaf_speed_max_mm_s=float(mlc["leaf_speed_max_mm_s"]),
        leaf_gap_min_mm=float(mlc["leaf_gap_min_mm"]),
        transmission=float(mlc["transmission"]),
        dosimetric_leaf_gap_mm=float(mlc["dosimetric_leaf_gap_mm"]),
        tip_radius_mm=float(mlc["tip_radius_mm"]),
        tongue_and_groove_mm=float(mlc["tongue_and_groove_mm"]),
        is_interdigitation_allowed=bool(mlc["is_interdigitation_allowed"]),
        is_dynamic=bool(mlc.get("is_dynamic", True)),
    )


def _kernel_from(path: Path) -> PencilKernel:
    """Read a tabulated pencil kernel."""
    kernel = read_pencil_kernel(path)
    return PencilKernel(
        depth_mm=np.asarray(kernel["depth_mm"], dtype=np.float64),
        radius_mm=np.asarray(kernel["radius_mm"], dtype=np.float64),
        dose=np.asarray(kernel["dose"], dtype=np.float64),
        source=str(kernel["source"]),
    )


@lru_cache(maxsize=32)
def _derived(
    energy_mev: tuple[float, ...], energy_fluence: tuple[float, ...]
) -> tuple[Spectrum, PencilKernel]:
    """Derive the kernel of a spectrum once, however often its machine is loaded."""
    spectrum = Spectrum(np.array(energy_mev), np.array(energy_fluence))
    return spectrum, derive_pencil_kernel(spectrum)


def _beam_from(beam: dict[str, Any], name: str, folder: Path) -> PhotonBeam:
    """Build one beam; its pencil kernel comes from a file or from its spectrum."""
    reference = beam["reference"]
    spectrum, kernel = _derived(
        tuple(map(float, beam["spectrum"]["energy_mev"])),
        tuple(map(float, beam["spectrum"]["energy_fluence"])),
    )
    if "kernel" in beam:
        kernel = _kernel_from(folder / beam["kernel"])
    return PhotonBeam(
        name=name,
        energy_mv=float(beam["energy_mv"]),
        is_flattened=bool(beam["is_flattened"]),
        dose_rate_mu_min=float(beam["dose_rate_mu_min"]),
        spectrum=spectrum,
        kernel=kernel,
        off_axis_radius_mm=np.asarray(beam["off_axis_radius_mm"], dtype=np.float64),
        off_axis_ratio=np.asarray(beam["off_axis_ratio"], dtype=np.float64),
        off_axis_depth_scale=np.asarray(beam["off_axis_depth_scale"], dtype=np.float64),
        focal_sigma_mm=_pair(beam["focal_sigma_mm"]),
        head_scatter=HeadScatter(**beam["head_scatter"]),
        electrons=ElectronContamination(**beam["electrons"]),
        reference=ReferenceCondition(
            field_mm=float(reference["field_mm"]),
            ssd_mm=float(reference["ssd_mm"]),
            depth_mm=float(reference["depth_mm"]),
            dose_per_mu_gy=float(reference["dose_per_mu_gy"]),
        ),
    )
