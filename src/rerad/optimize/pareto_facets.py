"""Inner and outer approximation of a convex Pareto surface: facets of plans, and what is below."""

import numpy as np
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, QhullError

from rerad.optimize.terms import Floats

_FAR = 1e3
"""Length of the rays that stand for 'worse in one goal', in ranges of a goal."""


def lower_facets(points: Floats) -> list[tuple[Floats, float, list[int]]]:
    r"""Return the facets of the convex hull of plans and all that is worse, seen from below.

    Parameters
    ----------
    points : ndarray of shape (P, K)
        Goals of each plan, in comparable units.

    Returns
    -------
    list of (ndarray of shape (K,), float, list of int)
        Normal (0 or more, summing to one), offset (:math:`n \cdot z` on the facet), and the plans
        at its corners; facets through a single plan are left out.
    """
    n_plans, n_goals = points.shape
    rays = [points + _FAR * np.eye(n_goals)[k] for k in range(n_goals)]
    try:
        hull = ConvexHull(np.concatenate([points, *rays]))
    except QhullError:
        return []
    facets = []
    for equation, corners in zip(hull.equations, hull.simplices, strict=True):
        normal = -equation[:-1]
        members = sorted({int(corner) % n_plans for corner in corners})
        if np.any(normal < -1e-9) or len(members) < 2:
            continue
        total = float(normal.sum())
        facets.append((np.maximum(normal, 0.0) / total, float(equation[-1]) / total, members))
    return facets


def least_beyond(normal: Floats, normals: Floats, bounds: Floats, worst: Floats) -> float:
    """Return how low the outer approximation reaches along a normal.

    Parameters
    ----------
    normal : ndarray of shape (K,)
        Direction, 0 or more.
    normals, bounds : ndarray of shapes (P, K) and (P,)
        Half-spaces ``normals @ z >= bounds`` that hold all plans.
    worst : ndarray of shape (K,)
        Goals up to which plans are of interest.

    Returns
    -------
    float
        Least ``normal @ z``; infinite where the linear programme fails.
    """
    found = linprog(
        normal,
        A_ub=-normals,
        b_ub=-bounds,
        bounds=[(None, high) for high in worst],
        method="highs",
    )
    return float(found.fun) if found.status == 0 else np.inf
