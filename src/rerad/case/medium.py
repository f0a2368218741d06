"""The medium of a case: from the tables of its file to curve, overrides and couch."""

import hashlib
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from rerad.case.schema import CaseFile, CouchPanelTable, CtCalibrationTable
from rerad.core import InputRecord, StructureSet
from rerad.errors import CaseError, InputError, MissingDataError
from rerad.imaging import (
    CouchPanel,
    CouchSource,
    CouchStructure,
    DensityOverride,
    DensityQuantity,
    HounsfieldCurve,
    load_couch_layers,
    load_hounsfield_curve,
    read_curve_points,
)
from rerad.planning.medium import MediumSettings
from rerad.structures import suggest_name
from rerad.tables.machines_load import read_hounsfield_tables


def medium_of(
    file: CaseFile, path: Path, structures: StructureSet
) -> tuple[MediumSettings, tuple[InputRecord, ...]]:
    """Return what a case file says about densities.

    Parameters
    ----------
    file : CaseFile
        What it says.
    path : Path
        Where it is: files of curves are named relative to it.
    structures : StructureSet
        Of the planning CT.

    Returns
    -------
    settings : MediumSettings
        Curve, overrides, couch.
    records : tuple of InputRecord
        Files of curves that were read, by hash.

    Raises
    ------
    CaseError
        If a curve, a couch or a structure that is named is not there, or a value is not right.
    """
    curve, records = _curve(file, path)
    for number, override in enumerate(file.density_override):
        key = f"density_override.{number}.structure"
        _require_structure(path, key, override.structure, structures)
    for number, part in enumerate(file.couch_structure):
        key = f"couch_structure.{number}.structure"
        _require_structure(path, key, part.structure, structures)
    source, panel = _couch(file, path)
    try:
        settings = MediumSettings(
            curve=curve,
            overrides=tuple(
                DensityOverride(
                    item.structure,
                    item.density_g_cm3,
                    item.reason,
                    DensityQuantity(item.quantity),
                )
                for item in file.density_override
            ),
            couch=source,
            couch_structures=tuple(
                CouchStructure(item.structure, item.density_g_cm3) for item in file.couch_structure
            ),
            couch_panel=panel,
        )
    except InputError as error:
        msg = f"{path}: {error}"
        raise CaseError(msg) from error
    return settings, records


def _curve(file: CaseFile, path: Path) -> tuple[HounsfieldCurve, tuple[InputRecord, ...]]:
    """Return the chosen curve: one of the file's own, or one that ships."""
    name = file.planning.hounsfield_curve
    own = {table.name: table for table in file.ct_calibration}
    shipped = read_hounsfield_tables()
    if len(own) < len(file.ct_calibration) or set(own) & set(shipped):
        msg = (
            f"{path}: ct_calibration: expected names of their own, got "
            f"{', '.join(table.name for table in file.ct_calibration)} beside "
            f"{', '.join(shipped)} that ship; rename one"
        )
        raise CaseError(msg)
    if name in own:
        return _own_curve(own[name], path)
    if name not in shipped:
        known = ", ".join((*own, *shipped))
        msg = f"{path}: planning.hounsfield_curve: no curve {name!r}; there are {known}"
        raise CaseError(msg)
    return load_hounsfield_curve(name), ()


def _own_curve(
    table: CtCalibrationTable, path: Path
) -> tuple[HounsfieldCurve, tuple[InputRecord, ...]]:
    """Return a curve of the case file."""
    records: tuple[InputRecord, ...] = ()
    try:
        points = table.points
        if table.file:
            source = path.parent / table.file
            points = read_curve_points(source)
            digest = hashlib.sha256(source.read_bytes()).hexdigest()
            records = (InputRecord(f"ct_calibration {table.name}", "", digest),)
        columns = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        curve = HounsfieldCurve(
            name=table.name,
            hu=columns[:, 0],
            density_g_cm3=columns[:, 1],
            source=table.source,
            quantity=DensityQuantity(table.quantity),
            scanner=table.scanner,
            kvp=None if table.kvp == "unknown" else table.kvp,
        )
    except InputError as error:
        msg = f"{path}: ct_calibration: {error}"
        raise CaseError(msg) from error
    return curve, records


def _couch(file: CaseFile, path: Path) -> tuple[CouchSource, CouchPanel | None]:
    """Return where the couch comes from, and the panel if it is one."""
    wanted = file.planning.couch
    panels = {table.name: table for table in file.couch_panel}
    if wanted in {"none", "as_imaged", "structures"}:
        return CouchSource(wanted), None
    if wanted not in panels:
        known = ", ".join(panels) or "no couch_panel"
        msg = (
            f"{path}: planning.couch: expected none, as_imaged, structures or the name of a "
            f"couch_panel ({known}), got {wanted!r}"
        )
        raise CaseError(msg)
    return CouchSource.PANEL, _panel(panels[wanted], path)


def _panel(table: CouchPanelTable, path: Path) -> CouchPanel:
    """Return a couch panel, of a model that ships or of the case file."""
    try:
        layers, width_mm, source = table.layers, table.width_mm, table.source
        if table.model:
            layers, width_mm, source = load_couch_layers(table.model)
        return CouchPanel(
            name=table.name,
            layers=layers,
            width_mm=width_mm,
            top_y_mm=table.top_y_mm,
            center_x_mm=table.center_x_mm,
            source=source,
        )
    except (InputError, MissingDataError) as error:
        msg = f"{path}: couch_panel: {error}"
        raise CaseError(msg) from error


def _require_structure(path: Path, key: str, name: str, structures: StructureSet) -> None:
    """Raise unless a structure is drawn, with the names that are near."""
    if name in structures:
        if structures[name].is_empty:
            msg = f"{path}: {key}: nothing is drawn for {name!r}; draw it or leave it out"
            raise CaseError(msg)
        return
    near = get_close_matches(name, structures.names, n=3, cutoff=0.6)
    standard = suggest_name(name)
    if standard is not None:
        near += [other for other in structures.names if suggest_name(other) == standard]
    hint = f"did you mean {' or '.join(dict.fromkeys(near))}" if near else "none is spelt alike"
    msg = (
        f"{path}: {key}: no structure {name!r} in {structures.label!r} ({hint}); it holds "
        f"{', '.join(structures.names)}"
    )
    raise CaseError(msg)


def medium_record(settings: MediumSettings) -> dict[str, str | int | float | bool | None]:
    """Return what decided the densities of a run, for its provenance.

    Parameters
    ----------
    settings : MediumSettings
        Curve, overrides, couch.

    Returns
    -------
    dict
        Setting to value; units in the names.
    """
    curve = settings.curve
    points = zip(curve.hu, curve.density_g_cm3, strict=True)
    record: dict[str, str | int | float | bool | None] = {
        "medium.curve": curve.name,
        "medium.curve_scanner": curve.scanner or "generic",
        "medium.curve_kvp": curve.kvp,
        "medium.curve_quantity": str(curve.quantity),
        "medium.curve_source": curve.source,
        "medium.curve_hu_g_cm3": ", ".join(f"{hu:g}: {density:g}" for hu, density in points),
        "medium.couch": str(settings.couch),
    }
    for item in settings.overrides:
        stated = f"{item.density_g_cm3:g} g/cm3 ({item.quantity}): {item.reason}"
        record[f"medium.override.{item.structure}"] = stated
    if settings.couch is CouchSource.STRUCTURES:
        for part in settings.couch_structures:
            record[f"medium.couch.{part.structure}_g_cm3"] = part.density_g_cm3
    panel = settings.couch_panel
    if settings.couch is CouchSource.PANEL and panel is not None:
        layers = ", ".join(f"{mm:g} mm: {density:g}" for mm, density in panel.layers)
        record["medium.couch.panel"] = f"{panel.name}, {layers} g/cm3. {panel.source}"
        record["medium.couch.width_mm"] = panel.width_mm
        record["medium.couch.top_y_mm"] = panel.top_y_mm
        record["medium.couch.center_x_mm"] = panel.center_x_mm
    return record
