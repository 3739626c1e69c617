"""Makes the embedded sample of pictures from the cookie data set in MVTec layout.

::

    python scripts/make_image_sample.py DATA/aws_cookies/cookie src/unseen/data/samples/cookies
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

SHORT_SIDE = 256
PARTS = {"train/good": 10, "test/good": 10, "test/cracked": 14}


def spread(files: list[Path], count: int) -> list[Path]:
    """``count`` of the files, evenly over their names."""
    files = sorted(files)
    return [files[round(i * (len(files) - 1) / (count - 1))] for i in range(count)]


def main(source: Path, target: Path) -> None:
    """Copy, shrink, save."""
    for part, count in PARTS.items():
        for file in spread(list((source / part).glob("*")), count):
            picture = Image.open(file).convert("RGB")
            scale = SHORT_SIDE / min(picture.size)
            size = (round(picture.width * scale), round(picture.height * scale))
            (target / part).mkdir(parents=True, exist_ok=True)
            picture.resize(size, Image.Resampling.LANCZOS).save(
                target / part / file.name, quality=84, optimize=True
            )
            mask = source / "ground_truth" / Path(part).name / f"{file.stem}_mask.png"
            if mask.exists():
                folder = target / "ground_truth" / Path(part).name
                folder.mkdir(parents=True, exist_ok=True)
                small = Image.open(mask).resize(size, Image.Resampling.NEAREST)
                small.point(lambda value: 255 if value else 0).convert("1").save(
                    folder / mask.name, optimize=True
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
