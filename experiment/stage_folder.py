"""The life of a stage's folder: begun, worked on under a lock by one process at a time, taken back or finished.

A stage is `begun` once its folder holds its own copy of the settings it was begun with, and `finished` once it holds
``done.json``; both are written atomically, and a finished stage has a ``manifest.json`` of its files. A whole run that
is made of another one is `made_beside` its place.
"""

import contextlib
import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from experiment.errors import InputError, NumericalError
from experiment.files import MANIFEST, atomic_write, read_json, read_sealed, write_json, write_manifest, write_sealed
from experiment.runs import Run, save_run

LOCK, HOLDER = ".lock", ".holder.json"
IMPORTED_FROM = "imported_from"  # in ``done.json`` of what was not trained from this run's episodes


def is_begun(folder: Path) -> bool:
    """Return whether a stage has come so far that its settings cannot change: it has a checkpoint, a row or a file.

    One that was refused or killed before that is not begun, whatever it was asked to be.
    """
    if not (folder / "begun.json").exists():
        return False
    files = (path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    return any(path.name not in ("begun.json", MANIFEST) and path.stat().st_size for path in files)


@contextlib.contextmanager
def working(folder: Path, record: dict[str, Any], run: Run | None = None) -> Iterator[None]:
    """Hold the lock of a stage's folder and mark the stage begun with `record`; `run`'s settings are saved with it.

    InputError at once, naming the first one's pid and host, where another process holds it, or where the file system
    has no locks. What is refused within before the stage `is_begun` leaves everything as it was.
    """
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        with _locked(folder), _as_it_was(folder, run.path / "config.json" if run else None):
            if run is not None:
                save_run(run)
            if not is_begun(folder):
                write_sealed(folder / "begun.json", record)
            yield
    except (InputError, NumericalError, OSError):
        with contextlib.suppress(OSError):  # the folder holds more than was made here
            if made and not (folder / "begun.json").exists():
                (folder / LOCK).unlink(missing_ok=True)
            for path in made:
                path.rmdir()
        raise


@contextlib.contextmanager
def _as_it_was(folder: Path, config: Path | None) -> Iterator[None]:
    """Within, an error before the stage is begun takes back what was written to begin it."""
    before = config.read_bytes() if config is not None and config.exists() else None
    with contextlib.ExitStack() as spare:
        spare.enter_context(open(os.devnull, "rb"))  # given back to clean up, where no more files can be opened
        try:
            yield
        except (InputError, NumericalError, OSError):
            spare.close()
            if not is_begun(folder):
                _take_back(folder, config, before)
            raise


def _take_back(folder: Path, config: Path | None, before: bytes | None) -> None:
    """Remove what a stage that is not begun left in its folder, and put the run's settings back."""
    for path in list(folder.iterdir()):
        if path.name in ("begun.json", HOLDER) or (path.is_file() and path.name != LOCK and _empty(path)):
            path.unlink()
    if config is not None and before is None:
        config.unlink(missing_ok=True)
    elif config is not None and config.read_bytes() != before:
        atomic_write(config, before)


def _empty(path: Path) -> bool:
    return path.stat().st_size == 0


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a stage's folder, whose files may change now, and name its holder beside it."""
    with _held(folder):
        for half_written in folder.glob(".*.tmp"):  # by a worker that was killed
            half_written.unlink()
        _name_holder(folder)
        (folder / MANIFEST).unlink(missing_ok=True)
        yield
        (folder / HOLDER).unlink(missing_ok=True)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    _acquire(lock, folder)
    try:
        yield
    finally:
        lock.release()


def _name_holder(folder: Path) -> None:
    """Write who holds the lock of a folder, for `_holder`."""
    write_json(folder / HOLDER, {"pid": os.getpid(), "host": socket.gethostname()})


@contextlib.contextmanager
def made_beside(folder: Path) -> Iterator[Path]:
    """Give a hidden folder to fill, which becomes `folder` once all is in it; an error, or a kill, leaves no such one.

    What a killed process left of the hidden one is removed. Raises InputError where another process is at it, or where
    `folder` is there.
    """
    half = folder.with_name(f".{folder.name}.tmp")
    with _held(half):
        try:
            for left in list(half.iterdir()):
                if left.is_dir():
                    shutil.rmtree(left)
                elif left.name != LOCK:
                    left.unlink()
            if folder.exists():
                raise InputError(f"{folder}: already exists; name another folder")
            _name_holder(half)
            yield half
            half.rename(folder)  # with the lock in it: no other process takes this for a killed one's
            for name in (LOCK, HOLDER):
                (folder / name).unlink(missing_ok=True)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise


@contextlib.contextmanager
def held_file(file: Path) -> Iterator[None]:
    """Hold a file that grows as one process plays; InputError at once where another process holds it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_name(f".{file.name}{LOCK}"), timeout=0)
    _acquire(lock, file)
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # while it is held, so that no other process opens it in between
        lock.release()


def _acquire(lock: FileLock, place: Path) -> None:
    """Take the lock of a folder, or of a file.

    Raises InputError where another process holds it, or where the file system has none, as some networks' have not.
    """
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{place}: {_holder(place / HOLDER)} is using it; wait for it") from None
    except (OSError, NotImplementedError) as error:
        number = getattr(error, "errno", None) or errno.ENOSYS
        if number not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        why = f"its file system cannot lock files ({os.strerror(number)})"
        raise InputError(f"{place}: {why}; put the run on another one, a local disk say") from None


def _holder(file: Path) -> str:
    """Return who holds a lock, as far as it is known."""
    with contextlib.suppress(InputError, KeyError, TypeError):
        who = read_json(file)
        return f"process {who['pid']} on {who['host']}"
    return "another process"


def finished(folder: Path) -> dict[str, Any] | None:
    """Return the summary of a finished stage from its ``done.json``, or None."""
    file = folder / "done.json"
    return read_sealed(file, "delete it and run the stage again") if file.exists() else None


def finish(folder: Path, summary: dict[str, Any]) -> None:
    """Mark a stage finished, and list its files in its manifest."""
    write_manifest(folder)
    write_sealed(folder / "done.json", summary)
