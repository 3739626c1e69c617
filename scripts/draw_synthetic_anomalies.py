"""Draw the picture of docs/synthetic_anomalies.md.

::

    python scripts/draw_synthetic_anomalies.py               # writes docs/images/synthetic_anomalies.png

The normal picture is drawn here too (a brushed washer on a grey ground), so that everything in it is free.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from unseen.nn.synthetic import DRAWINGS, DrawnTextures, SyntheticAnomalies, perlin_noise
from unseen.pixels import Pixels

SIDE = 224
GAP = 6
CAPTION = 18
COLUMNS = 7


def washer(rng: np.random.Generator) -> Pixels:
    """Return a brushed metal ring on a grey ground."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    radius = np.hypot(rows, columns)
    ring = (radius > 0.16) & (radius < 0.4)
    brushed = np.cumsum(rng.normal(size=800))
    brushed = (brushed - brushed.mean()) / brushed.std()
    shine = 20 * np.cos(2 * np.arctan2(rows, columns) - 0.8)
    metal = 150 + 6 * brushed[(radius * 1000).astype(int)] + shine
    ground = 205 + 6 * perlin_noise(SIDE, [[6, 6]], rng)[0]
    grey = np.where(ring, metal, ground) + rng.normal(0, 2, (SIDE, SIDE))
    colour = grey[:, :, None] * np.array([1.0, 1.0, 0.97])
    return np.asarray(np.clip(colour, 0, 255), dtype=np.uint8)


def as_picture(mask: np.ndarray) -> Pixels:
    """Return a mask as black and white."""
    return np.repeat(mask[:, :, None].astype(np.uint8) * 255, 3, axis=2)


def sheet(rows: list[tuple[str, list[Pixels]]]) -> Image.Image:
    """Return rows of pictures, each under its caption."""
    width = COLUMNS * (SIDE + GAP) + GAP
    height = len(rows) * (SIDE + GAP + CAPTION) + GAP
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    for number, (caption, pictures) in enumerate(rows):
        top = GAP + number * (SIDE + GAP + CAPTION)
        draw.text((GAP, top + 3), caption, fill="black", font_size=13)
        for place, picture in enumerate(pictures):
            page.paste(Image.fromarray(picture), (GAP + place * (SIDE + GAP), top + CAPTION))
    return page


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    default = Path(__file__).parents[1] / "docs" / "images" / "synthetic_anomalies.png"
    parser.add_argument("--out", type=Path, default=default)
    parser.add_argument("--seed", type=int, default=4)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    part = washer(rng)
    anywhere = list(SyntheticAnomalies().each([part] * (COLUMNS - 1), rng))
    on_part = list(SyntheticAnomalies(foreground="estimate").each([part] * COLUMNS, rng))
    page = sheet(
        [
            ("a normal picture, and defects anywhere on it", [part, *(made.image for made in anywhere)]),
            ("their masks: Perlin noise above its own 80th percentile", [
                np.full_like(part, 255), *(as_picture(made.mask) for made in anywhere)]),
            ("defects on the estimated foreground only", [made.image for made in on_part]),
            (f"drawn textures: {', '.join(sorted(DRAWINGS))}", [
                DrawnTextures.draw(name, SIDE, rng) for name in sorted(DRAWINGS)]),
        ]
    )  # fmt: skip
    options.out.parent.mkdir(parents=True, exist_ok=True)
    page.resize((page.width * 2 // 3, page.height * 2 // 3), Image.Resampling.LANCZOS).quantize(192).save(
        options.out, optimize=True
    )
    print(options.out, options.out.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
