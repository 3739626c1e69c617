"""The rows that multi-directional meta-learning learns from, by what each of them is for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from unseen.detectors.episodes import validation_rows
from unseen.references.pseudo_domains import named_or_pseudo_domains
from unseen.types import Labels, StrArray

_MOST_VALIDATION_NORMALS = 1024


@dataclass(frozen=True)
class MetaData:
    """What the loops learn from.

    Attributes
    ----------
    normals : Tensor of shape (n_normals, n_features)
        Training normals.
    domains : str array of shape (n_normals,)
        Their domains: as named, or pseudo-domains.
    named_domains : str array of shape (n_normals,)
        Their domains as named.
    anomalies : Tensor of shape (n_anomalies, n_features)
        Labelled anomalies.
    kinds, anomaly_domains : str arrays of shape (n_anomalies,)
        Their kinds and their domains as named.
    validation : Tensor of shape (n_validation, n_features)
        Normals beside the training ones, for the AUROCs of the history, scales and weights.
    variance : Tensor of shape (n_features,)
        Of the training normals.
    """

    normals: Tensor
    domains: StrArray
    named_domains: StrArray
    anomalies: Tensor
    kinds: StrArray
    anomaly_domains: StrArray
    validation: Tensor
    variance: Tensor


def arranged(
    normals: Tensor,
    anomalies: Tensor,
    labels: Labels,
    *,
    validation_fraction: float,
    n_pseudo_domains: int,
    generator: np.random.Generator,
) -> MetaData:
    """Split the normals, and name pseudo-domains where the data names none.

    Parameters
    ----------
    normals, anomalies : Tensors of shape (n_normals, n_features) and (n_anomalies, n_features)
        Encoder inputs, in the order of ``labels``.
    labels : Labels
        Of all rows.
    validation_fraction : float in (0, 0.5]
        See :func:`unseen.detectors.episodes.validation_rows`.
    n_pseudo_domains : int >= 1
        See :func:`unseen.references.pseudo_domains.pseudo_domains`.
    generator : numpy.random.Generator
        Draws.

    Returns
    -------
    MetaData
    """
    named = labels.domains[labels.normal]
    held = validation_rows(named, validation_fraction, generator)
    domains = named_or_pseudo_domains(normals.cpu().numpy(), named, n_pseudo_domains, generator)
    validation = np.flatnonzero(held) if held.any() else np.arange(len(normals))
    chosen = generator.permutation(validation)[:_MOST_VALIDATION_NORMALS]
    return MetaData(
        normals=normals[~held],
        domains=domains[~held],
        named_domains=named[~held],
        anomalies=anomalies,
        kinds=labels.kinds[labels.anomaly],
        anomaly_domains=labels.domains[labels.anomaly],
        validation=normals[chosen],
        variance=normals[~held].var(dim=0, unbiased=False),
    )
