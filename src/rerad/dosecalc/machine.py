"""Machines as objects of the core, from the files in ``tables/machines``."""

from pathlib import Path
from typing import Any

import numpy as np

from rerad.core import Machine, Mlc, PencilKernel, ReferenceCondition
from rerad.errors import InputError, MissingDataError
from rerad.tables.machines_load import read_machine_tables


def load_machine(name_or_path: str | Path) -> Machine:
    """Load a machine that ships with rerad, or one that a user describes.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a shipped machine (``"generic_6mv"``), or path of a TOML file like the shipped
        ones; its kernel file is looked for beside it.

    Returns
    -------
    Machine
        Checked as far as the core types check.

    Raises
    ------
    MissingDataError
        If there is no such file.
    InputError
        If a key is missing, unknown or of the wrong type.
    """
    try:
        return _machine_from(*read_machine_tables(name_or_path))
    except FileNotFoundError as error:
        msg = f"machine {name_or_path}: file {error.filename} is not there; give a name or a path"
        raise MissingDataError(msg) from error
    except (KeyError, TypeError, ValueError) as error:
        msg = f"machine {name_or_path}: {error}; compare with tables/machines/generic_6mv.toml"
        raise InputError(msg) from error


def _machine_from(table: dict[str, Any], kernel: dict[str, Any]) -> Machine:
    """Build the machine from the sections of its file."""
    m, mlc, limits = table["machine"], table["mlc"], table["jaws"]
    beam, reference = table["beam"], table["reference"]
    return Machine(
        name=m["name"],
        manufacturer=m["manufacturer"],
        model=m["model"],
        energy_mv=float(m["energy_mv"]),
        sad_mm=float(m["sad_mm"]),
        dose_rate_mu_min=float(m["dose_rate_mu_min"]),
        jaw_x_limits_mm=(float(limits["x_limits_mm"][0]), float(limits["x_limits_mm"][1])),
        jaw_y_limits_mm=(float(limits["y_limits_mm"][0]), float(limits["y_limits_mm"][1])),
        mlc=Mlc(
            leaf_boundaries_mm=np.asarray(mlc["leaf_boundaries_mm"], dtype=np.float64),
            leaf_position_min_mm=float(mlc["leaf_position_min_mm"]),
            leaf_position_max_mm=float(mlc["leaf_position_max_mm"]),
            leaf_span_max_mm=float(mlc["leaf_span_max_mm"]),
            leaf_speed_max_mm_s=float(mlc["leaf_speed_max_mm_s"]),
            leaf_gap_min_mm=float(mlc["leaf_gap_min_mm"]),
            transmission=float(mlc["transmission"]),
            dosimetric_leaf_gap_mm=float(mlc["dosimetric_leaf_gap_mm"]),
        ),
        kernel=PencilKernel(
            depth_mm=np.asarray(kernel["depth_mm"], dtype=np.float64),
            radius_mm=np.asarray(kernel["radius_mm"], dtype=np.float64),
            dose=np.asarray(kernel["dose"], dtype=np.float64),
            source=str(kernel["source"]),
        ),
        source_sigma_mm=float(beam["source_sigma_mm"]),
        off_axis_radius_mm=np.asarray(beam["off_axis_radius_mm"], dtype=np.float64),
        off_axis_ratio=np.asarray(beam["off_axis_ratio"], dtype=np.float64),
        reference=ReferenceCondition(
            field_mm=float(reference["field_mm"]),
            ssd_mm=float(reference["ssd_mm"]),
            depth_mm=float(reference["depth_mm"]),
            dose_per_mu_gy=float(reference["dose_per_mu_gy"]),
        ),
        is_commissioned=bool(m["is_commissioned"]),
        source=str(m["source"]),
    )
