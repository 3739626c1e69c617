"""What is known about pictures: given as arguments, or brought along by an ImageSet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from unseen.checks import resolve_domains, resolve_labels
from unseen.types import NORMAL_KIND, UNNAMED_DOMAIN, BoolArray, Labels, StrArray


def labels_of(
    owner: Any,
    X: object,
    n_pictures: int,
    y: ArrayLike | None,
    kinds: ArrayLike | None,
    domains: ArrayLike | None,
    groups: ArrayLike | None,
) -> Labels:
    """Return the labels of pictures; what is not given comes from the ``labels`` of ``X``, if it has any.

    Parameters
    ----------
    owner : BaseImageDetector
        Who asks; its ``normal`` names the normal kinds.
    X : object
        The pictures.
    n_pictures : int
        How many.
    y, kinds, domains, groups : array-like of shape (n_pictures,) or None
        As for ``fit``.

    Returns
    -------
    Labels

    Raises
    ------
    LabelError
        If they do not fit the pictures or one another.
    """
    own = getattr(X, "labels", None)
    if isinstance(own, Labels):
        if y is None and kinds is None:
            y, kinds = own.y, own.kinds
        domains = own.domains if domains is None else domains
        groups = own.groups if groups is None else groups
    normal: str | Sequence[str] = owner.normal
    return resolve_labels(owner, n_pictures, y, kinds=kinds, domains=domains, groups=groups, normal=normal)


def domains_of(owner: object, X: object, n_pictures: int, domains: ArrayLike | None) -> StrArray:
    """Return the domain of each picture, from the ``labels`` of ``X`` if none is given and it has any.

    Parameters
    ----------
    owner : object
        Who asks, for messages.
    X : object
        The pictures.
    n_pictures : int
        How many.
    domains : array-like of shape (n_pictures,) or None
        As for ``adapt``.

    Returns
    -------
    str array of shape (n_pictures,)
    """
    own = getattr(X, "labels", None)
    if domains is None and isinstance(own, Labels):
        return own.domains
    return resolve_domains(owner, n_pictures, domains)


def masks_of(
    X: object,
    masks: Sequence[BoolArray | None] | None,
    places: NDArray[np.int64],
    anomalous: BoolArray,
) -> list[BoolArray | None]:
    """Return the masks of some pictures: those given, else those of an ImageSet; only anomalies have one.

    Parameters
    ----------
    X : object
        The pictures.
    masks : sequence of bool arrays or None, or None
        One a picture of ``X``, as for ``fit``.
    places : int array of shape (n,)
        Which pictures.
    anomalous : bool array of shape (n,)
        Which of these are anomalies.

    Returns
    -------
    list of bool array or None, n of them
    """
    own = getattr(X, "mask", None)
    found: list[BoolArray | None] = []
    for place, wanted in zip(places.tolist(), anomalous.tolist(), strict=True):
        if not wanted:
            found.append(None)
        elif masks is not None:
            found.append(masks[place])
        else:
            found.append(own(place) if callable(own) else None)
    return found


def all_normal(n_pictures: int) -> Labels:
    """Return the labels of normal pictures without a domain.

    Parameters
    ----------
    n_pictures : int
        How many.

    Returns
    -------
    Labels
    """
    kinds, domains = np.full(n_pictures, NORMAL_KIND), np.full(n_pictures, UNNAMED_DOMAIN)
    return Labels(np.zeros(n_pictures, np.int8), kinds, domains)
