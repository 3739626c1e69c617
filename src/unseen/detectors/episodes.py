"""Which normals and which known kinds meet in each training episode.

A *direction* is one pairing of some domains of normals with some known kinds of anomalies. The inner loop of
an episode sees the normals of its domains, the outer loop a few anomalies of its kinds (Roy, Mili & Boker,
sections 4 and 4.1). Kinds that are hard at present are preferred, every kind is visited in each cycle, and
the numbers of kinds and of anomalies a kind grow over the episodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unseen.types import UNNAMED_DOMAIN, BoolArray, StrArray

_LEAST_HARDNESS = 0.05
_FEWEST_DOMAINS_TO_LEAVE_OUT = 5


@dataclass(frozen=True)
class Episode:
    """One direction.

    Attributes
    ----------
    number : int
        From 0.
    domains : tuple of str
        Whose normals the inner loop sees.
    kinds : tuple of str
        Whose anomalies the outer loop sees.
    shots : int
        At most so many anomalies of each kind.
    """

    number: int
    domains: tuple[str, ...]
    kinds: tuple[str, ...]
    shots: int


class EpisodeSampler:
    """Draws the directions one after the other.

    Parameters
    ----------
    domains : sequence of str
        The domains of the training normals.
    shots : mapping of str to int
        Number of labelled anomalies of each known kind; may be empty.
    n_episodes : int >= 1
        How many episodes there will be; the growth is spread over them.
    domain_share : float in (0, 1]
        Share of the domains in one episode; at least one.
    first_shots : int >= 1
        Anomalies a kind in the first episode; the last one has all.
    multi_directional : bool
        False: every episode is the first one's pairing, without growth, with half of the known kinds.
    curriculum : bool
        False: kinds are drawn evenly, all kinds and all shots from the first episode on.
    generator : numpy.random.Generator
        Draws.
    """

    def __init__(
        self,
        domains: Sequence[str],
        shots: Mapping[str, int],
        *,
        n_episodes: int,
        domain_share: float,
        first_shots: int,
        multi_directional: bool,
        curriculum: bool,
        generator: np.random.Generator,
    ) -> None:
        self._domains = sorted(domains)
        self._shots = dict(shots)
        self._n_episodes = n_episodes
        self._n_domains = max(1, round(domain_share * len(self._domains)))
        self._first_shots = first_shots
        self._multi_directional = multi_directional
        self._curriculum = curriculum
        self._generator = generator
        self._unvisited: list[str] = []
        self._fixed: Episode | None = None
        self._number = 0

    def draw(self, hardness: Mapping[str, float]) -> Episode:
        """Return the next episode.

        Parameters
        ----------
        hardness : mapping of str to float in [0, 1]
            How hard each kind is at present; missing kinds count as 1.

        Returns
        -------
        Episode
        """
        number = self._number
        self._number += 1
        if not self._multi_directional:
            if self._fixed is None:
                kinds = self._draw_kinds({}, max(1, (len(self._shots) + 1) // 2)) if self._shots else ()
                self._fixed = Episode(0, self._draw_domains(), kinds, max(self._shots.values(), default=0))
            return Episode(number, self._fixed.domains, self._fixed.kinds, self._fixed.shots)
        progress = 1.0 if self._n_episodes == 1 else number / (self._n_episodes - 1)
        n_kinds, shots = len(self._shots), max(self._shots.values(), default=0)
        if self._curriculum and n_kinds:
            n_kinds = grown(1, n_kinds, progress)
            shots = grown(min(self._first_shots, shots), shots, progress)
        kinds = self._draw_kinds(hardness if self._curriculum else {}, n_kinds)
        return Episode(number, self._draw_domains(), kinds, shots)

    def _draw_domains(self) -> tuple[str, ...]:
        chosen = self._generator.choice(len(self._domains), self._n_domains, replace=False)
        return tuple(self._domains[i] for i in np.sort(chosen))

    def _draw_kinds(self, hardness: Mapping[str, float], n_kinds: int) -> tuple[str, ...]:
        """Draw kinds not yet visited in this cycle first, harder ones with larger weight."""
        chosen: list[str] = []
        while len(chosen) < n_kinds:
            if not self._unvisited:
                self._unvisited = sorted(self._shots)
            candidates = [kind for kind in self._unvisited if kind not in chosen]
            if not candidates:
                candidates = [kind for kind in sorted(self._shots) if kind not in chosen]
            weights = np.array([max(hardness.get(kind, 1.0), _LEAST_HARDNESS) for kind in candidates])
            kind = candidates[int(self._generator.choice(len(candidates), p=weights / weights.sum()))]
            chosen.append(kind)
            if kind in self._unvisited:
                self._unvisited.remove(kind)
        return tuple(sorted(chosen))


def sampler_for(
    detector: Any, domains: StrArray, kinds: StrArray, generator: np.random.Generator
) -> EpisodeSampler:
    """Return the sampler that the parameters of a ``MultiDirectionalMeta`` ask for.

    Parameters
    ----------
    detector : MultiDirectionalMeta
        Its parameters are read.
    domains : str array of shape (n_normals,)
        Domain of each training normal.
    kinds : str array of shape (n_anomalies,)
        Kind of each labelled anomaly.
    generator : numpy.random.Generator
        Draws.

    Returns
    -------
    EpisodeSampler
    """
    names, counts = np.unique(kinds, return_counts=True)
    return EpisodeSampler(
        [str(name) for name in np.unique(domains)],
        {str(kind): int(count) for kind, count in zip(names, counts, strict=True)},
        n_episodes=detector.episodes,
        domain_share=detector.domain_share,
        first_shots=detector.first_shots,
        multi_directional=detector.multi_directional,
        curriculum=detector.curriculum,
        generator=generator,
    )


def grown(first: int, last: int, progress: float) -> int:
    """Return the whole number at ``progress`` in [0, 1] on the way from ``first`` to ``last``."""
    return int(np.floor(first + (last - first) * progress + 0.5))


def validation_rows(domains: StrArray, fraction: float, generator: np.random.Generator) -> BoolArray:
    """Choose the training normals that train nothing.

    Parameters
    ----------
    domains : str array of shape (n_rows,)
        Domain of each normal.
    fraction : float in (0, 0.5]
        Share of the named domains, where there are five or more of them, else of the rows.
    generator : numpy.random.Generator
        Draws.

    Returns
    -------
    bool array of shape (n_rows,)
        With at least one row on either side; none of a single row.
    """
    names = np.unique(domains[domains != UNNAMED_DOMAIN])
    if len(names) >= _FEWEST_DOMAINS_TO_LEAVE_OUT:
        chosen = generator.choice(names, max(1, round(fraction * len(names))), replace=False)
        return np.isin(domains, chosen)
    n_rows = len(domains)
    marked = np.zeros(n_rows, dtype=np.bool_)
    marked[generator.permutation(n_rows)[: min(max(1, round(fraction * n_rows)), n_rows - 1)]] = True
    return marked
