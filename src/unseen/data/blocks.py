"""Text files as blocks of whole records: decompress, decode, and cut at line breaks outside quotes."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from unseen.errors import ReadError

_CHUNK = 8 << 20
_LONGEST_RECORD = 64 << 20


def record_blocks(path: Path, compression: str | None, encoding: str) -> Iterator[bytes]:
    """Yield a text file as UTF-8 in blocks of whole records.

    Parameters
    ----------
    path : Path
        The file.
    compression : {"gzip", "zstd"} or None
        How it is compressed.
    encoding : str
        Python's name of its character encoding.

    Yields
    ------
    bytes
        About 8 MiB that end after a line break outside quotes; no byte order mark.

    Raises
    ------
    ReadError
        If it is damaged, truncated or not text.
    """
    carry = b""
    for chunk in _chunks(path, compression, encoding):
        carry += chunk
        cut = _last_record_end(carry)
        if cut == 0 and len(carry) > _LONGEST_RECORD:
            cut = carry.rfind(b"\n") + 1
            if cut == 0:
                raise ReadError(
                    f"{path}: has no line break in {_LONGEST_RECORD >> 20} MiB; not a text table?"
                )
        if cut:
            yield carry[:cut]
            carry = carry[cut:]
    if carry.strip():
        yield carry


def _chunks(path: Path, compression: str | None, encoding: str) -> Iterator[bytes]:
    """Yield the decompressed content as UTF-8 without a byte order mark."""
    raw = _decompressed(path, compression)
    if encoding == "utf-8":
        first = next(raw, b"")
        if first[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise ReadError(f"{path}: is UTF-16 text; save it as UTF-8 or give its encoding (utf-16).")
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from raw
        return
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for chunk in raw:
            yield decoder.decode(chunk).encode("utf-8")
        yield decoder.decode(b"", final=True).encode("utf-8")
    except UnicodeError as error:
        raise ReadError(f"{path}: is not {encoding} text: {one_line(error)}") from error


def _decompressed(path: Path, compression: str | None) -> Iterator[bytes]:
    try:
        with pa.OSFile(str(path), "rb") as stream:
            opened = pa.CompressedInputStream(stream, compression) if compression else stream
            while chunk := opened.read(_CHUNK):
                yield chunk
    except OSError as error:
        what = f"damaged or truncated {compression} data" if compression else "cannot be read"
        raise ReadError(f"{path}: {what}: {one_line(error)}") from error


def first_record_end(block: bytes) -> int:
    """Return the position after the first line break outside quotes; the length if there is none."""
    end = block.find(b"\n") + 1
    while end and block.count(b'"', 0, end) % 2:
        end = block.find(b"\n", end) + 1
    return end or len(block)


def _last_record_end(block: bytes) -> int:
    """Position after the last line break that is not inside quotes; 0 if there is none."""
    end = block.rfind(b"\n") + 1
    if end == 0 or block.count(b'"', 0, end) % 2 == 0:
        return end
    content = np.frombuffer(block, dtype=np.uint8)
    quotes, breaks = np.flatnonzero(content == ord('"')), np.flatnonzero(content == ord("\n"))
    outside = breaks[np.searchsorted(quotes, breaks) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def one_line(error: Exception) -> str:
    """Return the text of an error without line breaks."""
    return " ".join(str(error).split())
