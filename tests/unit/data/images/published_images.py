"""Small folders laid out exactly as public image data sets are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = (24, 32)


def picture(path: Path, value: int = 100, size: tuple[int, int] = SIDE, mode: str = "RGB") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = np.full((*size, 3), value, dtype=np.uint8)
    shade[: size[0] // 2] //= 2
    Image.fromarray(shade).convert(mode).save(path)
    return path


def mask(path: Path, rows: slice = slice(2, 6), value: int = 255, size: tuple[int, int] = SIDE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros(size, dtype=np.uint8)
    values[rows, 4:10] = value
    Image.fromarray(values).save(path)
    return path


def mvtec(root: Path, category: str = "screw") -> Path:
    folder = root / category
    for number in range(3):
        picture(folder / "train/good" / f"{number:03}.png", 90 + number)
    picture(folder / "test/good/000.png", 120)
    for kind in ("scratch_head", "thread_top"):
        for number in range(2):
            picture(folder / "test" / kind / f"{number:03}.png", 140 + number)
            mask(folder / "ground_truth" / kind / f"{number:03}_mask.png")
    (folder / "license.txt").write_text("terms")
    (folder / "train/good/._000.png").write_bytes(b"resource fork")
    return root


def visa(root: Path, *, annotated: bool = True) -> Path:
    rows = ["object,split,label,image,mask"]
    notes = ["image,label,mask"]
    for number in range(2):
        name = f"candle/Data/Images/Normal/{number:04}.JPG"
        picture(root / name)
        rows.append(f"candle,{'train' if number == 0 else 'test'},normal,{name},")
        notes.append(f"{name},normal,")
    for number, label in enumerate(["weird candle wick", '"chunk of wax missing,melded"', "melded"]):
        name, truth = (
            f"candle/Data/Images/Anomaly/{number:03}.JPG",
            f"candle/Data/Masks/Anomaly/{number:03}.png",
        )
        picture(root / name)
        mask(root / truth, value=1 + number)
        rows.append(f"candle,test,anomaly,{name},{truth}")
        notes.append(f"{name},{label},{truth}")
    (root / "split_csv").mkdir(parents=True)
    (root / "split_csv/1cls.csv").write_text("\n".join(rows) + "\n")
    if annotated:
        (root / "candle/image_anno.csv").write_text("\n".join(notes) + "\n")
    return root


def btad(root: Path) -> Path:
    for category, ending in (("01", "bmp"), ("03", "png")):
        folder = root / category
        picture(folder / "train/ok/0000.bmp")
        picture(folder / "test/ok/0001.bmp")
        picture(folder / "test/ko/0002.bmp")
        mask(folder / f"ground_truth/ko/0002.{ending}")
    return root


def mvtec_3d(root: Path) -> Path:
    folder = root / "bagel"
    for split in ("train", "validation"):
        picture(folder / split / "good/rgb/000.png")
        (folder / split / "good/xyz").mkdir()
        (folder / split / "good/xyz/000.tiff").write_bytes(b"not a picture")
    picture(folder / "test/good/rgb/000.png")
    mask(folder / "test/good/gt/000.png", value=0)
    picture(folder / "test/crack/rgb/000.png")
    mask(folder / "test/crack/gt/000.png")
    return root


def mvtec_loco(root: Path) -> Path:
    folder = root / "breakfast_box"
    picture(folder / "train/good/000.png")
    picture(folder / "validation/good/000.png")
    picture(folder / "test/good/000.png")
    for kind in ("logical_anomalies", "structural_anomalies"):
        picture(folder / "test" / kind / "000.png")
    mask(folder / "ground_truth/logical_anomalies/000/000.png", slice(2, 6), 254)
    mask(folder / "ground_truth/logical_anomalies/000/001.png", slice(12, 20), 254)
    mask(folder / "ground_truth/structural_anomalies/000/000.png", slice(2, 6), 200)
    (folder / "defects_config.json").write_text("[]")
    return root


def brats(root: Path) -> Path:
    folder = root / "Brain_AD"
    picture(folder / "train/good/BraTS2021_00000_flair_70.png", mode="L")
    picture(folder / "train/good/BraTS2021_00000_flair_71.png", mode="L")
    picture(folder / "valid/good/img/BraTS2021_00002_flair_60.png", mode="L")
    for split, folder_of_masks in (("valid", "label"), ("test", "label")):
        name = f"BraTS2021_0000{3 if split == 'test' else 2}_flair_90.png"
        picture(folder / split / "Ungood/img" / name, mode="L")
        mask(folder / split / "Ungood" / folder_of_masks / name)
    picture(folder / "test/good/img/BraTS2021_00003_flair_61.png", mode="L")
    mask(folder / "test/good/label/BraTS2021_00003_flair_61.png", value=0)
    return root


def plain(root: Path) -> Path:
    for number in range(3):
        picture(root / "Good" / f"part_{number}.jpg")
    picture(root / "bent" / "part_7.jpeg")
    picture(root / "dirty" / "part_9.TIF")
    return root
