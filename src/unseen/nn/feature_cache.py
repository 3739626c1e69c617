"""Features on disk, so that a picture goes through a backbone once.

One file a picture and stride, ``ab/abcdef…-float32.npy``, named by a hash of everything that decides its
content: the picture, the backbone's name and weights, what it computes with, the size and the stride. Files
are written under another name and renamed, so that processes may share a folder and a killed one leaves no
half file that counts. When the folder grows beyond its limit, the files that were used longest ago go first.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from unseen.checks import check_choice, check_int
from unseen.errors import InputError
from unseen.nn.backbones.protocol import Backbone

_VERSION = "1"
_SUFFIX = ".npy"
_PARTIAL = ".partial"
_STALE_SECONDS = 3600.0
_ROOM_AFTER_CLEARING = 0.9
_DTYPES = {"float32": np.float32, "float16": np.float16}


@dataclass(frozen=True)
class FeatureKey:
    """What decides the features of a picture, its strides apart.

    Attributes
    ----------
    picture : str
        Hash of the picture (``ImageSource.key``).
    backbone : str
        Name, hash of weights, precision and engine of the backbone.
    size : tuple of (int, int)
        Height and width that the picture is brought to.
    """

    picture: str
    backbone: str
    size: tuple[int, int]

    @classmethod
    def of(cls, backbone: Backbone, picture: str, size: tuple[int, int]) -> FeatureKey:
        """Return the key of a picture for a backbone."""
        identity = f"{backbone.name}|{backbone.weight_hash}|{backbone.precision}|{backbone.engine}"
        return cls(picture, identity, size)

    def at(self, stride: int) -> str:
        """Return the file name of the map at one stride, without its ending: 32 hexadecimal digits."""
        parts = f"{_VERSION}|{self.picture}|{self.backbone}|{self.size[0]}x{self.size[1]}|{stride}"
        return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()


class FeatureCache:
    """A folder of feature maps with a limit.

    Parameters
    ----------
    folder : str or Path
        Where it lies; made if it is missing.
    max_bytes : int >= 1
        The folder is cleared down to nine tenths of this whenever it grows larger.
    dtype : "float32" or "float16"
        What is stored. float16 halves the space at a relative error of 5e-4; maps with values beyond 65504
        are not stored then. A folder may hold both.

    Raises
    ------
    ParameterError
        If a limit is out of range.
    InputError
        If ``folder`` is a file or cannot be made.
    """

    def __init__(self, folder: str | Path, *, max_bytes: int = 4 * 2**30, dtype: str = "float32") -> None:
        self.folder = Path(folder)
        self.max_bytes = check_int(self, "max_bytes", max_bytes, minimum=1)
        self.dtype = check_choice(self, "dtype", dtype, _DTYPES)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"FeatureCache: {self.folder} cannot be made ({error.strerror}).") from error
        self._lock = threading.Lock()
        self._bytes = sum(size for _, size, _ in self._files())

    def __len__(self) -> int:
        """Return the number of stored maps."""
        return len(self._files())

    @property
    def used_bytes(self) -> int:
        """Bytes of the stored maps, as far as this process knows."""
        return self._bytes

    def has(self, key: FeatureKey, strides: Sequence[int]) -> bool:
        """Return whether maps are stored, without reading them.

        Parameters
        ----------
        key : FeatureKey
            The picture and the backbone.
        strides : sequence of int
            Which maps.

        Returns
        -------
        bool
        """
        return all(self._path(key.at(stride)).is_file() for stride in strides)

    def get(self, key: FeatureKey, strides: Sequence[int]) -> dict[int, Tensor] | None:
        """Return the stored maps of a picture.

        Parameters
        ----------
        key : FeatureKey
            The picture and the backbone.
        strides : sequence of int
            Which maps.

        Returns
        -------
        dict of int to float32 tensor of shape (channels, height, width), or None
            None if one of them is not there. A file that cannot be read counts as not there and is removed.
        """
        maps = {}
        for stride in strides:
            values = self._read(self._path(key.at(stride)))
            if values is None:
                return None
            maps[stride] = torch.from_numpy(values)
        return maps

    def put(self, key: FeatureKey, maps: Mapping[int, Tensor]) -> None:
        """Store the maps of a picture.

        Parameters
        ----------
        key : FeatureKey
            The picture and the backbone.
        maps : mapping of int to tensor of shape (channels, height, width)
            By stride.

        Raises
        ------
        InputError
            If the disk is full or the folder cannot be written to.
        """
        for stride, values in maps.items():
            with np.errstate(over="ignore"):
                array = values.detach().cpu().float().numpy().astype(_DTYPES[self.dtype])
            if not np.isfinite(array).all():
                continue
            path = self._path(key.at(stride))
            try:
                self._write(path, np.ascontiguousarray(array))
            except OSError as error:
                raise InputError(
                    f"FeatureCache: cannot write to {self.folder} ({error.strerror}); "
                    "free some space, or go on without a cache."
                ) from error
        if self._bytes > self.max_bytes:
            self.clear(int(self.max_bytes * _ROOM_AFTER_CLEARING))

    def clear(self, max_bytes: int = 0) -> None:
        """Remove the maps that were used longest ago until at most ``max_bytes`` are left; 0: all."""
        with self._lock:
            files = sorted(self._files())
            total = sum(size for _, size, _ in files)
            for _, size, path in files:
                if total <= max_bytes:
                    break
                path.unlink(missing_ok=True)
                total -= size
            self._bytes = total
            for path in self.folder.glob(f"*/*{_PARTIAL}"):
                if _age(path) > _STALE_SECONDS:
                    path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / name[:2] / f"{name}-{self.dtype}{_SUFFIX}"

    def _read(self, path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]] | None:
        try:
            values = np.load(path, allow_pickle=False)
            os.utime(path)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError):
            path.unlink(missing_ok=True)
            return None
        if values.ndim != 3 or values.dtype != _DTYPES[self.dtype]:
            path.unlink(missing_ok=True)
            return None
        return np.asarray(values, dtype=np.float32)

    def _write(self, path: Path, array: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> None:
        path.parent.mkdir(exist_ok=True)
        partial = path.with_name(f"{path.stem}.{secrets.token_hex(4)}{_PARTIAL}")
        try:
            with partial.open("xb") as file:
                np.save(file, array, allow_pickle=False)
                written = file.tell()
            new = not path.exists()
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        if new:
            with self._lock:
                self._bytes += written

    def _files(self) -> list[tuple[float, int, Path]]:
        """Time of last use, size and path of every stored map."""
        found = []
        for path in self.folder.glob(f"*/*{_SUFFIX}"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            found.append((status.st_mtime, status.st_size, path))
        return found


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
