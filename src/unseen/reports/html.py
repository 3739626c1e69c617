"""What the pages have in common: how templates are filled in, and pictures that travel inside a page."""

from __future__ import annotations

import base64
import io

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from unseen.pixels import Pixels


def environment() -> Environment:
    """Return what fills in templates: everything is escaped, and a missing name is an error."""
    return Environment(
        loader=PackageLoader("unseen.reports", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def jpeg(pixels: Pixels) -> bytes:
    """Return a picture as a JPEG file.

    Parameters
    ----------
    pixels : uint8 array of shape (height, width, 3)
        The picture.

    Returns
    -------
    bytes
    """
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, "JPEG", quality=80)
    return buffer.getvalue()


def data_uri(content: bytes, form: str) -> str:
    """Return an image file as a data URI.

    Parameters
    ----------
    content : bytes
        The file.
    form : {"jpeg", "png"}
        Its format.

    Returns
    -------
    str
    """
    return f"data:image/{form};base64,{base64.b64encode(content).decode('ascii')}"
