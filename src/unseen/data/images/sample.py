"""The small real set of pictures that comes with the package: cookies, whole and cracked, with masks.

An extract of the cookie data set of the Amazon Lookout for Vision samples, under CC BY-SA 4.0.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path


def sample_folder() -> Path:
    """Return the folder of the sample, in MVTec layout.

    Returns
    -------
    Path
        ``train/good`` (10 pictures), ``test/good`` (10), ``test/cracked`` (14, with masks).
    """
    return Path(str(files("unseen.data") / "samples" / "cookies"))


def image_sample_citation() -> str:
    """Return where the sample comes from and its terms."""
    return (sample_folder() / "CITATION.txt").read_text(encoding="utf-8")
