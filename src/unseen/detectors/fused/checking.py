"""Whether the parts of a fitted detector that were read from a file fit together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.fused.evidence import LabelledRows
from unseen.detectors.fused.forest import Forest
from unseen.detectors.fused.mode import Mode
from unseen.detectors.fused.moments import AnyMoments, WideMoments
from unseen.detectors.fused.novelty import DomainNormals, NormalModel
from unseen.references import ReferenceStore


def check_mode(mode: Mode, n_features: int) -> None:
    """Raise ValueError if the arrays of a mode do not fit together.

    Parameters
    ----------
    mode : Mode
        As read.
    n_features : int
        Columns of the rows that the detector takes.
    """
    normals, scales, n_cues = mode.normals, mode.scales, len(mode.cues)
    n_bank = len(normals.bank)
    if normals.bank.shape != (n_bank, n_features) or n_bank == 0:
        raise ValueError("the bank has another number of features")
    if normals.spread.shape != (n_bank,) or normals.centre.shape != (n_features,):
        raise ValueError("the bank and what was measured of it differ")
    if normals.knots.ndim != 2 or len(normals.knots) != n_features:
        raise ValueError("the ranks are of other features")
    if normals.n_neighbours < 1:
        raise ValueError("no neighbour counts")
    if normals.index is not None:
        normals.index.check(n_bank, n_features)
    _check_moments(normals.plain, n_features)
    _check_moments(normals.ranked, n_features)
    _check_blocks(normals, n_features)
    placing = (scales.lowest, scales.unit, scales.centre, scales.spread, mode.weights)
    if any(array.shape != (n_cues,) for array in placing):
        raise ValueError("the cues are not those of this method")
    single = (mode.local_strength, mode.wide_strength, mode.floor, mode.reach, mode.odds_centre)
    finite = all(np.isfinite(array).all() for array in (*placing, single))
    if not finite or not 0 < mode.unit < np.inf or not 0 < mode.odds_spread < np.inf:
        raise ValueError("the scales of the scores are no numbers")
    if mode.signs is not None:
        mode.signs.check(n_features, n_cues)
    if mode.labelled is not None:
        _check_labelled(mode.labelled, n_features, n_cues)
        if mode.likeness is not None:
            mode.likeness.check()


def check_scatter(
    store: ReferenceStore | None,
    blocks: NDArray[np.int64] | None,
    scatter: NDArray[np.float64] | None,
    n_features: int,
) -> None:
    """Raise ValueError if references, blocks of columns and usual scatters do not fit together.

    Parameters
    ----------
    store : ReferenceStore or None
        As read.
    blocks : int64 array of shape (n_features,) or None
        Block of each column; None without references.
    scatter : float64 array of shape (n_blocks,) or None
        The usual scatter of each; None likewise.
    n_features : int
        Columns of the rows that the detector takes.
    """
    if store is None or blocks is None or scatter is None:
        if not (store is None and blocks is None and scatter is None):
            raise ValueError("the references and their scatter do not belong together")
        return
    if blocks.shape != (n_features,) or blocks.min() < 0 or scatter.shape != (blocks.max() + 1,):
        raise ValueError("the scatter of the references is of other blocks of columns")
    if not np.all(scatter >= 0):
        raise ValueError("the scatter of the references is no distance")


def check_domain_normals(own: DomainNormals, n_features: int) -> None:
    """Raise ValueError if the arrays of a domain's references do not fit together.

    Parameters
    ----------
    own : DomainNormals
        As read.
    n_features : int
        Columns of the rows that the detector takes.
    """
    if own.rows.ndim != 2 or own.rows.shape[1] != n_features or own.spread.shape != (len(own.rows),):
        raise ValueError("the references have another number of features")
    if len(own.rows) == 0:
        raise ValueError("a domain has no references")
    _check_moments(own.plain, n_features)
    _check_moments(own.ranked, n_features)


def _check_blocks(normals: NormalModel, n_features: int) -> None:
    if not normals.of_blocks:
        if len(normals.blocks):
            raise ValueError("blocks of columns have no moments")
        return
    numbers = np.arange(len(normals.of_blocks))
    if normals.blocks.shape != (n_features,) or not np.array_equal(np.unique(normals.blocks), numbers):
        raise ValueError("the blocks of columns and their moments differ")
    for block, moments in enumerate(normals.of_blocks):
        _check_moments(moments, len(normals.columns(block)))


def _check_moments(moments: AnyMoments, n_features: int) -> None:
    if isinstance(moments, WideMoments):
        n_directions = len(moments.directions)
        shapes = (moments.mean.shape, moments.lower.shape, moments.directions.shape)
        if shapes != ((n_features,), (n_directions, n_directions), (n_directions, n_features)):
            raise ValueError("the moments are of other features")
        if not moments.variance > 0:
            raise ValueError("the moments have no variance")
        return
    square = (n_features, n_features)
    if (moments.mean.shape, moments.covariance.shape, moments.precision.shape) != (
        (n_features,),
        square,
        square,
    ):
        raise ValueError("the moments are of other features")


def _check_labelled(labelled: LabelledRows, n_features: int, n_cues: int) -> None:
    n_rows = len(labelled.rows)
    if labelled.rows.shape != (n_rows, n_features) or labelled.kinds.shape != (n_rows,) or n_rows == 0:
        raise ValueError("the labelled rows and their kinds differ")
    if labelled.centre.shape != (n_features,):
        raise ValueError("the labelled rows have another number of features")
    if not 1 <= labelled.n_near <= n_rows:
        raise ValueError("fewer rows are labelled than are to be near")
    _check_forest(labelled.forest, n_features + n_cues)
    if labelled.boosted is not None:
        labelled.boosted.check(n_features + n_cues)


def _check_forest(forest: Forest, n_inputs: int) -> None:
    n_nodes = len(forest.features)
    if forest.cuts.shape != (n_nodes,) or forest.children.shape != (n_nodes, 2):
        raise ValueError("the nodes of the trees do not add up")
    if forest.shares.shape != (n_nodes,) or len(forest.roots) == 0:
        raise ValueError("the nodes of the trees do not add up")
    for array, limit in ((forest.roots, n_nodes), (forest.children, n_nodes), (forest.features, n_inputs)):
        if np.any(array < 0) or np.any(array >= limit):
            raise ValueError("the trees point at what is not there")
    if not 0 <= forest.depth <= n_nodes:
        raise ValueError("the trees have an impossible depth")
