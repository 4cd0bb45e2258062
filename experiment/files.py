"""Files that can be trusted: atomic writes, JSON with a checksum of its own, and manifests of finished folders.

A kill leaves what a file held before or all of what was written, never a part of it. Damage is found when a file is
read: a finished stage's ``manifest.json`` lists the size and SHA-256 of its files, and every reader here holds what it
reads against it. No file of a run is read by pickle or eval.
"""

import contextlib
import hashlib
import json
import os
import secrets
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from experiment.errors import InputError

MANIFEST = "manifest.json"
CHECKPOINT = "checkpoint.npz"  # what an unfinished training goes on from
# the manifest itself, what has a checksum of its own, clocks, and what a finished stage has no more
UNLISTED = (MANIFEST, "done.json", "timing.jsonl", CHECKPOINT)
LARGEST_FILE = 1 << 30  # bytes; no file of this project comes near it
CHECKSUM = "crc"  # the last key of a sealed object

_manifests: dict[Path, tuple[tuple[int, int], dict[str, dict[str, Any]]]] = {}


def atomic_write(path: Path, data: bytes) -> None:
    """Write `data` so that `path` holds either what it held before or all of it (temporary file, fsync, rename).

    Who may read and write it is as the user's umask, or the folder's default rights, have it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with naming(path), open(half, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(half, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            half.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(half):
            error.filename = str(path)
        raise


def copy_files(files: Iterable[Path], target: Path) -> None:
    """Copy files into a folder, hidden ones left out.

    Raises InputError where one is missing, or is not the file that the manifest beside it lists.
    """
    target.mkdir(parents=True, exist_ok=True)
    for path in files:
        if not path.name.startswith("."):
            atomic_write(target / path.name, read_file(path))


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Make an OSError within name this file where it names none, as for a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def read_file(path: Path, advice: str = "") -> bytes:
    """Return the bytes of a file, checked against the manifest beside it where that lists it.

    Raises InputError with one line (what, where, `advice`) where it is missing, unreadable, too large or damaged.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise InputError(f"{path}: {size} bytes are more than any file of this project has{then(advice, path)}")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: not there{then(advice, path)}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}){then(advice, path)}") from None
    listed = _listed(path.parent).get(path.name)
    if listed is not None and (listed["bytes"] != len(data) or listed["sha256"] != hashlib.sha256(data).hexdigest()):
        unix = data.replace(b"\r\n", b"\n")
        if listed["sha256"] == hashlib.sha256(unix).hexdigest():
            advice = "clone again, with git's core.autocrlf=false"
            raise InputError(f"{path}: its line ends were changed on the way{then(advice)}")
        raise InputError(f"{path}: damaged, it is not the file that {MANIFEST} lists{then(advice, path)}")
    return data


def check_writable(folder: Path, advice: str = "") -> None:
    """Raise InputError where no file can be written in a folder, or it could not be made: asked before long work."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}){then(advice)}") from None


def check_file_writable(path: Path | None, advice: str = "") -> None:
    """Raise InputError where a file cannot be written at this place; None: none is wanted."""
    if path is None:
        return
    if path.is_dir():
        raise InputError(f"{path}: is a folder, and a file is wanted{then(advice)}")
    check_writable(path.parent, advice)


# --- JSON ---


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is refused (JSON has none)."""
    atomic_write(path, (json.dumps(value, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path, advice: str = "") -> Any:
    """Return the JSON in `path`; InputError with one line (and `advice`) where it is missing or damaged."""
    data = read_file(path, advice)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON ({first_line(error)}){then(advice, path)}") from None


def write_sealed(path: Path, value: dict[str, Any]) -> None:
    """Write an object as JSON with a checksum of its own (see `seal`), atomically."""
    write_json(path, seal(value))


def read_sealed(path: Path, advice: str = "") -> dict[str, Any]:
    """Return what `write_sealed` wrote; InputError with one line where it is missing, damaged or was edited by hand."""
    value = read_json(path, advice)
    try:
        return unseal(value)
    except ValueError as error:
        raise InputError(f"{path}: {error}{then(advice, path)}") from None


def seal(value: dict[str, Any]) -> dict[str, Any]:
    """Return the object with the CRC-32 of its JSON as its last key."""
    return {**value, CHECKSUM: zlib.crc32(json.dumps(value).encode())}


def unseal(value: Any) -> dict[str, Any]:
    """Return the object without its checksum; ValueError where the checksum does not match."""
    if not isinstance(value, dict) or type(value.get(CHECKSUM)) is not int:
        raise ValueError("not an object with a checksum")
    content = {key: part for key, part in value.items() if key != CHECKSUM}
    if zlib.crc32(json.dumps(content).encode()) != value[CHECKSUM]:
        raise ValueError("damaged or changed by hand, its checksum does not fit")
    return content


# --- manifests ---


def write_manifest(folder: Path) -> None:
    """List the files of a finished folder, with their sizes and SHA-256; hidden ones and subfolders are left out."""
    files = {}
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith(".") and path.name not in UNLISTED:
            with open(path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            files[path.name] = {"bytes": path.stat().st_size, "sha256": digest}
    write_sealed(folder / MANIFEST, {"files": files})


def check_manifest(folder: Path, advice: str = "") -> None:
    """Raise InputError where a listed file is missing or has another size; contents are checked when read."""
    for name, listed in _listed(folder).items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: not there, though {MANIFEST} lists it{then(advice, path)}")
        if path.stat().st_size != listed["bytes"]:
            raise InputError(f"{path}: damaged, {MANIFEST} lists {listed['bytes']} bytes{then(advice, path)}")


def _listed(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the files that a folder's manifest lists, by name; none without a manifest."""
    path = folder / MANIFEST
    try:
        status = path.stat()
    except OSError:
        return {}
    stamp = (status.st_mtime_ns, status.st_size)
    if path not in _manifests or _manifests[path][0] != stamp:
        _manifests[path] = stamp, _read_manifest(path)
    return _manifests[path][1]


def _read_manifest(path: Path) -> dict[str, dict[str, Any]]:
    advice = "delete it to do without, or run the folder's stage again"
    try:
        content = unseal(json.loads(path.read_bytes()))
        files = content["files"]
        if not all(type(f["bytes"]) is int and isinstance(f["sha256"], str) for f in files.values()):
            raise ValueError("not a list of files")
        if any("/" in name for name in files):
            raise ValueError("lists a file elsewhere")
        return files
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a manifest ({first_line(error)}){then(advice, path)}") from None


# --- words of error messages ---


def first_line(error: BaseException) -> str:
    """Return an error's message, on one line of bounded length."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]


def then(advice: str, path: Path | None = None) -> str:
    """Return what to do about it, as the end of a message.

    path: the file in question. A release is not made again where it is used, so nobody is told to delete it.
    """
    if path is not None and "delet" in advice and _in_release(path):
        advice = f"a release is not made again here: take {path.parent} anew from where it came (git checkout, say)"
    return f"; {advice}" if advice else ""


def _in_release(path: Path) -> bool:
    """Return whether a file is in a run that holds no episodes, nor ever began to: a release, or imported weights."""
    runs = [folder for folder in list(path.absolute().parents)[:4] if (folder / "config.json").exists()]
    return bool(runs) and not (runs[0] / "rollouts").exists()
