"""How unusual a row is, in several senses at once, learnt from normals alone.

===============  ==========================================================================================
cue              value of a row x
===============  ==========================================================================================
``neighbours``   mean Euclidean distance to the k nearest normals
``local``        mean over these neighbours b of  |x − b| / (r_b + median r),  with r_b the mean distance of b
                 to its own k nearest: a gap counts more where normals lie dense (after Breunig et al., "LOF",
                 SIGMOD 2000)
``covariance``   Mahalanobis distance, Ledoit-Wolf covariance
``ranks``        Mahalanobis distance of the ranks of x among the normals, column by column
``length``       |x|: the distance from the references, where rows are residuals
===============  ==========================================================================================

Where domains are named there are two more for each block of columns (:mod:`unseen.detectors.fused.blocks`):

===============  ==========================================================================================
``length b``     |x_b|, of the columns of block b alone
``columns b``    Mahalanobis distance of these columns, before any view, among normals of all domains
===============  ==========================================================================================

References of a domain join the bank of that domain, each as good as k normals, and are weighed into its
moments.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unseen.detectors.cell_search import CellIndex, near_rows
from unseen.detectors.exact_search import nearest_rows
from unseen.detectors.fused.moments import AnyMoments, fit_moments
from unseen.detectors.fused.ranks import rank_knots, ranks
from unseen.types import UNNAMED_DOMAIN, FloatArray, StrArray

CUES = ("neighbours", "local", "covariance", "ranks", "length")
"""The cues that there always are; see :func:`cue_names`."""

Distances = NDArray[np.float64]
Positions = NDArray[np.int64]


@dataclass(frozen=True)
class NormalModel:
    """What normals look like in one view.

    Attributes
    ----------
    bank : float array of shape (n_bank, n_features)
        Normals.
    centre : float64 array of shape (n_features,)
        Mean of the bank, for the search.
    spread : float64 array of shape (n_bank,)
        Mean distance of each to its own k nearest.
    usual : float
        Their median.
    n_neighbours : int
        k.
    knots : float array of shape (n_features, n_knots)
        Order statistics of each column.
    plain, ranked : Moments or WideMoments
        Of the normals, and of their ranks.
    blocks : int64 array of shape (n_features,)
        Block of each column; empty where no cue looks at blocks.
    of_blocks : tuple of Moments or WideMoments
        Of the columns of each block, before any view; empty likewise.
    index : CellIndex or None
        Cells of a large bank, which is searched in part; None: the search is exact.
    """

    bank: FloatArray
    centre: NDArray[np.float64]
    spread: NDArray[np.float64]
    usual: float
    n_neighbours: int
    knots: FloatArray
    plain: AnyMoments
    ranked: AnyMoments
    blocks: NDArray[np.int64]
    of_blocks: tuple[AnyMoments, ...]

    index: CellIndex | None = None

    def columns(self, block: int) -> NDArray[np.int64]:
        """Return the columns of a block."""
        return np.flatnonzero(self.blocks == block)

    def nearest(self, V: FloatArray, k: int) -> tuple[Distances, Positions]:
        """Return the nearest rows of the bank, by their distances and positions.

        Parameters
        ----------
        V : float array of shape (n_rows, n_features)
            Rows.
        k : int
            How many.
        """
        if self.index is None:
            return nearest_rows(V, self.bank, self.centre, k)
        return near_rows(V, self.bank, self.index, min(k, len(self.bank)))


@dataclass(frozen=True)
class Blocks:
    """Blocks of columns, and the rows that their moments come from.

    Attributes
    ----------
    codes : int64 array of shape (n_features,)
        Block of each column, from 0 on.
    rows : float array of shape (n_normals, n_features)
        The normals as they are before any view.
    ranked : bool
        Whether ranks are a cue beside those of the blocks. Of residuals they say nothing and cost much.
    """

    codes: NDArray[np.int64]
    rows: FloatArray
    ranked: bool = True

    def take(self, rows: NDArray[np.bool_]) -> Blocks:
        """Return the blocks with some of the normals only.

        Parameters
        ----------
        rows : bool array of shape (n_normals,)
            Which.
        """
        return Blocks(self.codes, self.rows[rows], self.ranked)


@dataclass(frozen=True)
class DomainNormals:
    """References of one domain, as a part of the model of its normals.

    Attributes
    ----------
    rows : float array of shape (n_references, n_features)
        The references.
    spread : float64 array of shape (n_references,)
        Mean distance of each to its k nearest in the bank.
    plain, ranked : Moments or WideMoments
        The pooled moments with the references weighed in.
    """

    rows: FloatArray
    spread: NDArray[np.float64]
    plain: AnyMoments
    ranked: AnyMoments


def own_spread(V: FloatArray, n_neighbours: int) -> NDArray[np.float64]:
    """Return the mean distance of each row to its nearest other rows, shape (n_rows,); 1 for a single row.

    Parameters
    ----------
    V : float array of shape (n_rows, n_features)
        At least one row.
    n_neighbours : int
        How many others count.
    """
    if len(V) < 2:
        return np.ones(1)
    centre = V.mean(axis=0, dtype=np.float64)
    return np.asarray(others(V, V, centre, n_neighbours, np.arange(len(V)))[0].mean(axis=1))


def cue_names(n_blocks: int) -> tuple[str, ...]:
    """Return the names of all cues, in the order of their columns.

    Parameters
    ----------
    n_blocks : int
        Blocks of columns that cues look at; 0: none.
    """
    of_blocks = (f"{cue} {block + 1}" for block in range(n_blocks) for cue in ("length", "columns"))
    return (*CUES, *of_blocks)


def fit_normals(
    V: FloatArray,
    spread: NDArray[np.float64],
    n_neighbours: int,
    blocks: Blocks | None = None,
    index: CellIndex | None = None,
) -> NormalModel:
    """Learn from normals.

    Parameters
    ----------
    V : float array of shape (n_normals, n_features)
        At least one row.
    spread : float64 array of shape (n_normals,)
        From :func:`own_spread`, of these or of more normals.
    n_neighbours : int
        k.
    blocks : Blocks or None
        Blocks of columns that cues are to look at, with these normals as they are before any view.
    index : CellIndex or None
        Of these rows, if they are to be searched by it.

    Returns
    -------
    NormalModel
    """
    bank = np.ascontiguousarray(V)
    centre = bank.mean(axis=0, dtype=np.float64)
    knots = rank_knots(bank) if blocks is None or blocks.ranked else bank[:0].T
    usual = float(np.median(spread)) or float(spread.mean()) or 1.0
    codes = np.zeros(0, dtype=np.int64) if blocks is None else blocks.codes
    of_blocks = (
        ()
        if blocks is None
        else tuple(fit_moments(blocks.rows[:, codes == block]) for block in range(int(codes.max()) + 1))
    )
    return NormalModel(
        bank,
        centre,
        spread,
        usual,
        n_neighbours,
        knots,
        fit_moments(bank),
        fit_moments(ranks(bank, knots)),
        codes,
        of_blocks,
        index,
    )


def add_references(model: NormalModel, references: FloatArray, prior: float) -> DomainNormals:
    """Return the references of one domain as a part of the model.

    Parameters
    ----------
    model : NormalModel
        Of the pooled normals; left as it is.
    references : float array of shape (n_references, n_features)
        At least one.
    prior : float > 0
        How many references weigh as much as the pooled moments.

    Returns
    -------
    DomainNormals
    """
    distances = model.nearest(references, model.n_neighbours)[0]
    return DomainNormals(
        references,
        distances.mean(axis=1),
        model.plain.blended(references, prior),
        model.ranked.blended(ranks(references, model.knots), prior),
    )


def others(
    V: FloatArray, bank: FloatArray, centre: NDArray[np.float64], k: int, own: Positions
) -> tuple[Distances, Positions]:
    """Return the nearest rows of a bank that each row is itself a row of, without itself.

    Parameters
    ----------
    V : float array of shape (n_rows, n_features)
        Rows.
    bank : float array of shape (n_bank, n_features)
        At least two rows.
    centre : float64 array of shape (n_features,)
        Near the middle of the bank.
    k : int
        How many.
    own : int64 array of shape (n_rows,)
        Position of each row in the bank; -1 where it is not in there.

    Returns
    -------
    distances, positions : arrays of shape (n_rows, min(k, n_bank - 1))
    """
    return without_itself(*nearest_rows(V, bank, centre, k + 1), own)


def without_itself(distances: Distances, positions: Positions, own: Positions) -> tuple[Distances, Positions]:
    """Drop the row itself from its neighbours, or the last one where it is not among them.

    Parameters
    ----------
    distances, positions : arrays of shape (n_rows, k + 1)
        Of the neighbours.
    own : int64 array of shape (n_rows,)
        Position of each row in the bank; -1 where it is not in there.

    Returns
    -------
    distances, positions : arrays of shape (n_rows, k)
    """
    width = distances.shape[1] - 1
    itself = positions == own[:, None]
    itself[~itself.any(axis=1), -1] = True
    kept = ~itself
    shape = (len(distances), width)
    return distances[kept].reshape(shape), positions[kept].reshape(shape)


def fresh_neighbours(
    model: NormalModel, V: FloatArray, domains: StrArray, bank_domains: StrArray, own: Positions
) -> tuple[Distances, Positions]:
    """Return the neighbours that training rows would have if they were new.

    Where the bank has two or more named domains a row meets the rows of the *other* domains, since a row at
    deployment is of a new one; else, and where its own domain has no name, all rows but itself.

    Parameters
    ----------
    model : NormalModel
        Its bank may hold the rows.
    V : float array of shape (n_rows, n_features)
        Rows.
    domains : str array of shape (n_rows,)
        Their domains.
    bank_domains : str array of shape (n_bank,)
        Domains of the bank.
    own : int64 array of shape (n_rows,)
        Position of each row in the bank; -1 where it is not in there.

    Returns
    -------
    distances, positions : arrays of shape (n_rows, k)
        Where fewer rows are left, the last one is repeated.
    """
    k = model.n_neighbours
    if len(model.bank) < 2:
        return nearest_rows(V, model.bank, model.centre, k)
    named = np.unique(bank_domains[bank_domains != UNNAMED_DOMAIN])
    if len(named) < 2:
        return others(V, model.bank, model.centre, k, own)
    distances, positions = np.empty((len(V), k)), np.empty((len(V), k), dtype=np.int64)
    for name in np.unique(domains):
        mine = domains == name
        if name == UNNAMED_DOMAIN:
            found, where = others(V[mine], model.bank, model.centre, k, own[mine])
        else:
            kept = np.flatnonzero(bank_domains != name)
            found, where = nearest_rows(V[mine], model.bank[kept], model.centre, k)
            where = kept[where]
        column = np.minimum(np.arange(k), found.shape[1] - 1)
        distances[mine], positions[mine] = found[:, column], where[:, column]
    return distances, positions


def nearest_normals(
    model: NormalModel, V: FloatArray, own: DomainNormals | None
) -> tuple[Distances, Positions]:
    """Return the nearest normals; positions after the bank are those of the domain's references.

    A reference stands for k neighbours: what lies near a single known normal of its own place is normal,
    however far the normals of other places are.

    Parameters
    ----------
    model : NormalModel
        The pooled normals.
    V : float array of shape (n_rows, n_features)
        Rows of one domain.
    own : DomainNormals or None
        Its references.

    Returns
    -------
    distances, positions : arrays of shape (n_rows, k)
    """
    distances, positions = model.nearest(V, model.n_neighbours)
    if own is None:
        return distances, positions
    more, where = (
        np.repeat(found, model.n_neighbours, axis=1)
        for found in nearest_rows(V, own.rows, model.centre, model.n_neighbours)
    )
    merged = np.concatenate([distances, more], axis=1)
    places = np.concatenate([positions, where + len(model.bank)], axis=1)
    first = np.argsort(merged, axis=1, kind="stable")[:, : model.n_neighbours]
    return np.take_along_axis(merged, first, axis=1), np.take_along_axis(places, first, axis=1)


def cue_values(
    model: NormalModel,
    V: FloatArray,
    neighbours: tuple[Distances, Positions],
    own: DomainNormals | None = None,
    unviewed: FloatArray | None = None,
) -> NDArray[np.float64]:
    """Return all cues of rows of one domain.

    Parameters
    ----------
    model : NormalModel
        The pooled normals.
    V : float array of shape (n_rows, n_features)
        The rows.
    neighbours : pair of arrays of shape (n_rows, k)
        Their distances and positions.
    own : DomainNormals or None
        The references of their domain.
    unviewed : float array of shape (n_rows, n_features) or None
        The rows as they are before any view; None: these.

    Returns
    -------
    float64 array of shape (n_rows, n_cues)
        In the order of :func:`cue_names`.
    """
    distances, positions = neighbours
    spread = model.spread if own is None else np.concatenate([model.spread, own.spread])
    plain, ranked = (model.plain, model.ranked) if own is None else (own.plain, own.ranked)
    found = [
        distances.mean(axis=1),
        (distances / (spread[positions] + model.usual)).mean(axis=1),
        plain.distances(V),
        ranked.distances(ranks(V, model.knots)),
        _lengths(V),
    ]
    before = V if unviewed is None else unviewed
    for block, moments in enumerate(model.of_blocks):
        columns = model.columns(block)
        found.append(_lengths(V[:, columns]))
        found.append(moments.distances(before[:, columns]))
    return np.column_stack(found)


def _lengths(V: FloatArray) -> NDArray[np.float64]:
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", V, V, dtype=np.float64)))
