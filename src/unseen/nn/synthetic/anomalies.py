r"""Synthetic defects: a texture pasted under a random mask.

V. Zavrtanik, M. Kristan, D. Skočaj, "DRÆM", ICCV 2021, with the mask and the opacity as the papers on
value-order decomposition and on multi-cue detection settle them:

.. math:: x' = (1 - M) \odot x + M \odot \big(\beta\, t + (1 - \beta)\, x\big), \qquad \beta \sim U(0.1, 1)

:math:`M`: Perlin noise above its own 80th percentile; :math:`t`: a texture after 3 of 7 augmentations.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike

from unseen.checks import check_choice, check_int, check_real
from unseen.errors import InputError, ParameterError
from unseen.nn.synthetic.augmentations import AUGMENTATIONS, augment
from unseen.nn.synthetic.foreground import estimate_foreground
from unseen.nn.synthetic.perlin import perlin_masks
from unseen.nn.synthetic.textures import DrawnTextures, TextureSource
from unseen.pixels import Pixels, check_pixels
from unseen.types import BoolArray

_ATTEMPTS = 10
_LEAST_ON_FOREGROUND = 0.01
"""A mask that keeps less of its area on the part than this is drawn anew."""


class SyntheticAnomaly(NamedTuple):
    """A picture with a made-up defect.

    Attributes
    ----------
    image : uint8 array of shape (height, width, 3)
        The picture with the defect.
    mask : bool array of shape (height, width)
        Where the defect is.
    opacity : float in (0, 1]
        How much of the texture shows.
    """

    image: Pixels
    mask: BoolArray
    opacity: float


class SyntheticAnomalies:
    """Makes defects on normal pictures.

    Parameters
    ----------
    textures : TextureSource or None
        Where textures come from. None: :class:`~unseen.nn.synthetic.textures.DrawnTextures`.
    share : float in (0, 1)
        Share of the picture under the mask, before it is cut to the foreground.
    exponents : tuple of (int, int)
        The Perlin lattice has 2**e cells along a side, e drawn from this range.
    opacity : tuple of (float, float)
        The opacity is drawn evenly from this range, within (0, 1].
    n_augmentations : int in [0, 7]
        Augmentations of a texture.
    foreground : "all" or "estimate"
        all: defects may lie anywhere. estimate: only where
        :func:`~unseen.nn.synthetic.foreground.estimate_foreground` sees the part.

    Raises
    ------
    ParameterError
        If an argument is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> part = np.full((64, 64, 3), 128, dtype=np.uint8)
    >>> made = SyntheticAnomalies()(part, np.random.default_rng(0))
    >>> made.image.shape, round(float(made.mask.mean()), 2)
    ((64, 64, 3), 0.2)
    """

    def __init__(
        self,
        textures: TextureSource | None = None,
        *,
        share: float = 0.2,
        exponents: tuple[int, int] = (0, 5),
        opacity: tuple[float, float] = (0.1, 1.0),
        n_augmentations: int = 3,
        foreground: str = "all",
    ) -> None:
        self.textures: TextureSource = textures if textures is not None else DrawnTextures()
        self.share = check_real(
            self, "share", share, minimum=0, maximum=1, open_minimum=True, open_maximum=True
        )
        self.exponents = exponents
        low, high = (
            check_real(self, "opacity", value, minimum=0, maximum=1, open_minimum=True) for value in opacity
        )
        if low > high:
            raise ParameterError(f"SyntheticAnomalies: opacity must be (low, high), got {opacity!r}.")
        self.opacity = (low, high)
        self.n_augmentations = check_int(
            self, "n_augmentations", n_augmentations, minimum=0, maximum=len(AUGMENTATIONS)
        )
        self.foreground = check_choice(self, "foreground", foreground, ("all", "estimate"))

    def __call__(
        self, image: ArrayLike, rng: Generator, *, foreground: BoolArray | None = None
    ) -> SyntheticAnomaly:
        """Return a picture with a defect.

        Parameters
        ----------
        image : uint8 array of shape (height, width, 3)
            A normal picture; it is not changed.
        rng : numpy Generator
            Draws mask, texture, augmentations and opacity.
        foreground : bool array of shape (height, width) or None
            Where the defect may lie. None: as the constructor says.

        Returns
        -------
        SyntheticAnomaly

        Raises
        ------
        InputError
            If the picture is no such array, or the foreground has another shape or is empty.
        """
        pixels = check_pixels("SyntheticAnomalies", image)
        allowed = self._allowed(pixels, foreground)
        mask = self._mask(pixels.shape[:2], allowed, rng)
        texture = augment(self.textures(pixels.shape[:2], rng), rng, n=self.n_augmentations)
        opacity = float(rng.uniform(*self.opacity))
        changed = pixels.copy()
        changed[mask] = np.rint(opacity * texture[mask] + (1.0 - opacity) * pixels[mask]).astype(np.uint8)
        return SyntheticAnomaly(changed, mask, opacity)

    def each(self, images: Iterable[ArrayLike], rng: Generator) -> Iterator[SyntheticAnomaly]:
        """Yield one defect a picture, in order.

        Parameters
        ----------
        images : iterable of uint8 arrays of shape (height, width, 3)
            Normal pictures.
        rng : numpy Generator
            Draws all of them.

        Yields
        ------
        SyntheticAnomaly
        """
        return (self(image, rng) for image in images)

    def _allowed(self, pixels: Pixels, foreground: BoolArray | None) -> BoolArray | None:
        if foreground is None:
            return estimate_foreground(pixels) if self.foreground == "estimate" else None
        if foreground.shape != pixels.shape[:2] or foreground.dtype != np.bool_ or not foreground.any():
            raise InputError(
                "SyntheticAnomalies: foreground must be a bool array of the picture's height and width, "
                "not all False."
            )
        return foreground

    def _mask(self, shape: tuple[int, int], allowed: BoolArray | None, rng: Generator) -> BoolArray:
        """A mask, cut to what is allowed; if it never falls there, all that is allowed."""
        for _ in range(_ATTEMPTS):
            mask = perlin_masks(1, shape, rng, share=self.share, exponents=self.exponents)[0]
            if allowed is None:
                return np.asarray(mask)
            cut = mask & allowed
            if cut.sum() > _LEAST_ON_FOREGROUND * mask.sum():
                return np.asarray(cut)
        assert allowed is not None
        return allowed.copy()
