"""Arrays on disk, and the one hardened reader for them.

Nothing is loaded by pickle. `read_npz` is told which names, types and shapes a file must have, and checks them against
the file's own headers before it allocates anything.
"""

import ast
import contextlib
import io
import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiment.errors import InputError
from experiment.files import atomic_write, first_line, read_file, then

DAMAGED = (  # what zipfile and NumPy raise at an archive that is not one, or not as they read it
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    ValueError,
    RuntimeError,  # encrypted; or, as NotImplementedError, of another compression
    SyntaxError,
    tokenize.TokenError,
    MemoryError,
    OverflowError,
    TypeError,
    KeyError,
)
LARGEST_ARRAY = 2 << 30  # bytes; files of this project are far below


@dataclass(frozen=True)
class ArraySpec:
    """What an array in a file must be: its dtype ("float32|float16": either), and its shape with None where any fits.

    The same letter in several specs of one file means the same length (``"T"`` in all arrays of an episode).
    """

    dtype: str
    shape: tuple[int | str | None, ...]


def npz_bytes(arrays: dict[str, np.ndarray], level: int = 1) -> bytes:
    """Return the bytes of an `.npz` that NumPy reads, deflated at `level` (1: four times faster than NumPy's 6)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name, array in arrays.items():
            # a fixed date, so that equal arrays give equal files
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            info._compresslevel = level  # type: ignore[attr-defined]  # ZipInfo has no public name for it in 3.11
            archive.writestr(info, _npy_bytes(np.asarray(array, order="C")))
    return buffer.getvalue()


def _npy_bytes(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def write_npz(path: Path, arrays: dict[str, np.ndarray], level: int = 1) -> None:
    """Write arrays as a deflated `.npz`, atomically."""
    atomic_write(path, npz_bytes(arrays, level))


def read_npz(path: Path, specs: dict[str, ArraySpec], advice: str = "", others: bool = False) -> dict[str, np.ndarray]:
    """Return the arrays of `path`, which must be exactly those of `specs`; with `others` it may hold more.

    Raises InputError with one line (what, where, `advice`) for a file that is missing, truncated, damaged, pickled, or
    whose names, dtypes or shapes differ.
    """
    data = read_file(path, advice)
    with _opened(path, io.BytesIO(data), advice) as archive:
        _check_names(archive, specs, others)
        lengths: dict[str, int] = {}
        return {name: _read_member(archive, name, spec, lengths, len(data)) for name, spec in specs.items()}


def npz_shape(path: Path, name: str, advice: str = "") -> tuple[int, ...]:
    """Return the shape of one array of `path`, from its header alone; InputError as `read_npz`."""
    with _opened(path, path, advice) as archive, archive.open(f"{name}.npy") as member:
        return _npy_header(member, name)[0]


@contextlib.contextmanager
def _opened(path: Path, source: Path | io.BytesIO, advice: str) -> Iterator[zipfile.ZipFile]:
    """Open the archive in `source`; every way it can be damaged raises InputError about `path`."""
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive
    except FileNotFoundError:
        raise InputError(f"{path}: not there{then(advice, path)}") from None
    except DAMAGED as error:
        raise InputError(
            f"{path}: damaged or not what it should be ({first_line(error)}){then(advice, path)}"
        ) from None


def _check_names(archive: zipfile.ZipFile, specs: dict[str, ArraySpec], others: bool) -> None:
    found = sorted(archive.namelist())
    wanted = sorted(f"{name}.npy" for name in specs)
    if not set(wanted) <= set(found) if others else found != wanted:
        raise ValueError(f"holds {', '.join(found)[:200] or 'nothing'}, not {', '.join(wanted)[:200]}")


def _read_member(
    archive: zipfile.ZipFile, name: str, spec: ArraySpec, lengths: dict[str, int], archive_size: int
) -> np.ndarray:
    """Return one array, its header checked before its data is read."""
    if archive.getinfo(f"{name}.npy").compress_size > archive_size:
        raise ValueError(f"{name} is cut short")  # else zipfile would allocate what the directory promises
    with archive.open(f"{name}.npy") as member:
        shape, dtype, offset = _npy_header(member, name)
        if dtype not in [np.dtype(kind) for kind in spec.dtype.split("|")]:
            raise ValueError(f"{name} has dtype {dtype}, not {spec.dtype}")
        _check_shape(name, shape, spec, lengths)
        size = math.prod(shape) * dtype.itemsize
        if size > LARGEST_ARRAY or archive.getinfo(f"{name}.npy").file_size != offset + size:
            raise ValueError(f"{name} has not the size its header says")
        data = member.read(size)
        if len(data) != size or member.read(1):  # the extra read lets zipfile check the CRC
            raise ValueError(f"{name} is cut short")
    return np.frombuffer(bytearray(data), dtype=dtype).reshape(shape)


def _npy_header(member: Any, name: str) -> tuple[tuple[int, ...], np.dtype, int]:
    """Return (shape, dtype, header size) of an `.npy` of version 1.0, its literal parsed without eval."""
    prefix = member.read(10)
    if len(prefix) != 10 or prefix[:8] != b"\x93NUMPY\x01\x00":
        raise ValueError(f"{name} is not an array of NumPy's format 1.0")
    length = int.from_bytes(prefix[8:], "little")
    header = ast.literal_eval(member.read(length).decode("latin1").strip())
    if not isinstance(header, dict) or set(header) != {"descr", "fortran_order", "shape"}:
        raise ValueError(f"{name} has a strange header")
    shape, descr = header["shape"], header["descr"]
    if not isinstance(descr, str) or "O" in descr:
        raise ValueError(f"{name} holds pickled objects, which are never loaded")
    if header["fortran_order"] is not False or not isinstance(shape, tuple):
        raise ValueError(f"{name} has a strange header")
    if not all(type(n) is int and 0 <= n <= LARGEST_ARRAY for n in shape) or len(shape) > 8:
        raise ValueError(f"{name} has a strange shape")
    return shape, np.dtype(descr), 10 + length


def _check_shape(name: str, shape: tuple[int, ...], spec: ArraySpec, lengths: dict[str, int]) -> None:
    """Raise ValueError where `shape` does not fit the spec; lettered lengths must agree across the file."""
    fits = len(shape) == len(spec.shape)
    for found, wanted in zip(shape, spec.shape, strict=False):
        if isinstance(wanted, str):
            wanted = lengths.setdefault(wanted, found)
        fits = fits and wanted in (None, found)
    if not fits:
        wanted_text = ", ".join("any" if n is None else str(n) for n in spec.shape)
        raise ValueError(f"{name} has shape {shape}, not ({wanted_text})")


def check_finite(array: np.ndarray, what: str, path: Path, advice: str = "") -> None:
    """Raise InputError where a floating-point array from a file holds NaN or infinity."""
    if not np.isfinite(array).all():
        first = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f"{path}: {what} holds NaN or infinity at {first}{then(advice, path)}")
