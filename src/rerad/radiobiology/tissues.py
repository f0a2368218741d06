"""Alpha/beta of tissues as their sources state it: a value, and the interval where there is one.

A tissue has as many rows as it has sources; none of them is a default.
"""

from dataclasses import dataclass
from functools import cache

from rerad.errors import MissingDataError
from rerad.tables import Source, load_table, source_of


@dataclass(frozen=True, slots=True)
class TissueAlphaBeta:
    """Alpha/beta of one tissue from one source.

    Parameters
    ----------
    tissue : str
        Which.
    alpha_beta_gy : float
        Best value in Gy.
    low_gy, high_gy : float or None
        Confidence interval or range, where the source states one.
    source : Source
        Where it comes from.
    """

    tissue: str
    alpha_beta_gy: float
    low_gy: float | None
    high_gy: float | None
    source: Source

    @property
    def ends_gy(self) -> tuple[float, float]:
        """Lowest and highest value; both the best value where no interval is stated."""
        low = self.alpha_beta_gy if self.low_gy is None else self.low_gy
        return low, self.alpha_beta_gy if self.high_gy is None else self.high_gy


@cache
def load_tissues() -> tuple[TissueAlphaBeta, ...]:
    """Return every shipped alpha/beta."""
    return tuple(
        TissueAlphaBeta(
            tissue=row["tissue"],
            alpha_beta_gy=float(row["alpha_beta_gy"]),
            low_gy=float(row["low_gy"]) if "low_gy" in row else None,
            high_gy=float(row["high_gy"]) if "high_gy" in row else None,
            source=source_of(row, f"alpha_beta {row['tissue']}"),
        )
        for row in load_table("alpha_beta")["tissue"]
    )


def tissues_for(words: str) -> tuple[TissueAlphaBeta, ...]:
    """Return every row whose tissue contains the given words.

    Parameters
    ----------
    words : str
        For example ``"spinal cord"``.

    Raises
    ------
    MissingDataError
        If no tissue does.

    Examples
    --------
    >>> [row.alpha_beta_gy for row in tissues_for("spinal cord")]
    [2.0, 4.0, 0.87, 3.7]
    """
    wanted = words.strip().casefold()
    found = tuple(row for row in load_tissues() if wanted and wanted in row.tissue.casefold())
    if not found:
        known = "; ".join(dict.fromkeys(row.tissue for row in load_tissues()))
        msg = f"expected a tissue with a sourced alpha/beta ({known}), got {words!r}"
        raise MissingDataError(msg)
    return found
