"""The run folder: what a run is made with, which stage is under way, and its records.

``config.json`` holds everything resolved. A stage is `begun` once its folder holds its own copy of the settings it
was begun with, and `finished` once it holds ``done.json``; both are written atomically, and a finished stage has a
``manifest.json`` of its files.
"""

import contextlib
import dataclasses
import errno
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Generic

from filelock import FileLock, Timeout

from experiment.config import S, Settings, completed, from_values
from experiment.errors import InputError, NumericalError
from experiment.files import MANIFEST, atomic_write, read_json, read_sealed, write_json, write_manifest, write_sealed
from experiment.provenance import environment

FOLDERS = {"collect": "rollouts", "vae": "vae", "series": "series", "rnn": "rnn"}
# whichever stage is begun pins its own settings and those of what it was made from
PINNED = {"collect": ("env", "collect"), "vae": ("vae",), "series": ("series",), "rnn": ("rnn",)}


@dataclasses.dataclass(frozen=True)
class Run(Generic[S]):
    """One run: its folder, task, preset, seed and the resolved settings of every stage.

    overrides: the ``stage.field`` that commands set themselves, and their values, which are in `stages` too.
    """

    path: Path
    task: str
    preset: str
    seed: int
    stages: S
    overrides: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)

    def folder(self, stage: str) -> Path:
        """Return where a stage keeps its files."""
        return self.path / FOLDERS[stage]

    def pinned(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return the settings that a stage is made with, by stage and field."""
        return {name: vars(getattr(self.stages, name)) for name in PINNED[stage]}


def open_run(path: Path, wanted: Run[S], explicit: set[str], preset_given: bool) -> Run[S]:
    """Return the run in `path`, made or continued with the `wanted` settings, as `plan_run` has it, and saved so."""
    run = plan_run(path, wanted, explicit, preset_given)
    save_run(run)
    return run


def plan_run(
    path: Path,
    wanted: Run[S],
    explicit: set[str],
    preset_given: bool,
    free: Sequence[str] = (),
    beside: Sequence[str] = (),
) -> Run[S]:
    """Return the run in `path`, to be made or continued with the `wanted` settings; nothing is written.

    `explicit` names the ``stage.field`` (and "seed") the command set itself: these, and all fields where the preset
    was given and differs from the stored one, must agree with what stages already begun were made with; otherwise
    InputError names the difference. What no stage depends on yet is updated. free: stages whose settings may differ.
    beside: ``stage.field`` that what is begun was made with, too.
    """
    check_task(path, wanted.task)
    stored = load_run(path, wanted.stages, missing_ok=True)
    said = {name: _field(wanted, name) for name in sorted(explicit) if "." in name}
    wanted = dataclasses.replace(wanted, overrides=said)
    if stored is None:
        return wanted
    merged = _merge(stored, wanted, explicit, whole=preset_given and wanted.preset != stored.preset)
    _refuse_differences(stored, merged, free, beside)
    return merged


def save_run(run: Run) -> None:
    """Write ``config.json`` where the run's settings are not those it holds already."""
    stored = load_run(run.path, run.stages, missing_ok=True)
    if stored != run or stored.overrides != run.overrides:
        _write_config(run)


def existing_run(run: str | Path) -> Path:
    """Return a run's folder; InputError where there is none: a misspelt one is not a run that lacks its weights."""
    path = Path(run).expanduser()
    if not path.is_dir():
        place = "" if path.is_absolute() else f" in {Path.cwd()}"
        raise InputError(f"{path}: no such folder{place}; name a run's folder")
    return path


def check_task(path: Path, task: str) -> None:
    """Raise InputError where the run in `path` is another task's: first of all, since nothing else of it would fit."""
    file = path / "config.json"
    stored = read_json(file) if file.exists() else {}
    found = stored.get("task", task) if isinstance(stored, dict) else task
    if found != task:
        raise InputError(f"{path}: belongs to task {found}, not {task}; name another run")


def load_run(path: Path, like: S, missing_ok: bool = False) -> Run[S] | None:
    """Return the run stored in `path`, with settings of the same types as `like`.

    InputError (or None with `missing_ok`) where there is none.
    """
    path = Path(path)
    file = path / "config.json"
    if missing_ok and not file.exists():
        return None
    values = read_sealed(file, "run scripts/collect_rollouts.py with --run and --preset first, in a new folder")
    newer = {item.name: vars(item.default) for item in dataclasses.fields(like) if isinstance(item.default, Settings)}
    try:
        stages = {
            name: from_values(type(config), values["stages"].get(name, newer.get(name)), f"{file} [{name}]")
            for name, config in vars(like).items()
        }
        if type(values["seed"]) is not int or values["seed"] < 0:
            raise ValueError(f"seed {values['seed']!r}")
        known = str(values["task"]), str(values["preset"]), values["seed"], type(like)(**stages)
        return Run(path, *known, dict(values.get("overrides", {})))  # which older records lack
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{file}: not a run's configuration ({error!r})") from None


def _merge(stored: Run[S], wanted: Run[S], explicit: set[str], whole: bool) -> Run[S]:
    """Return the stored run with this command's settings over it."""
    if whole:
        return dataclasses.replace(wanted, seed=wanted.seed if "seed" in explicit else stored.seed)
    overrides = stored.overrides | wanted.overrides
    stages = {}
    for name, config in vars(stored.stages).items():
        said = {w.split(".")[1] for w in explicit if w.startswith(f"{name}.")}
        values = {key: getattr(getattr(wanted.stages, name), key) for key in said}
        stages[name] = dataclasses.replace(config, **values)
    seed = wanted.seed if "seed" in explicit else stored.seed
    return dataclasses.replace(stored, stages=type(stored.stages)(**stages), seed=seed, overrides=overrides)


def _field(run: Run, name: str) -> Any:
    """Return the value of a ``stage.field``."""
    stage, field = name.split(".")
    return getattr(getattr(run.stages, stage), field)


def _refuse_differences(stored: Run, merged: Run, free: Sequence[str], beside: Sequence[str]) -> None:
    begun = [stage for stage in FOLDERS if is_begun(stored.folder(stage))]
    pinned = [name for stage in begun for name in PINNED[stage]]
    if begun or list((stored.path / "evaluation").glob("[!.]*.json")):
        pinned.insert(0, "env")  # also of a release, which holds no episodes: its scores are of this environment
    old, new = (_flat({name: vars(stage) for name, stage in vars(run.stages).items()}) for run in (stored, merged))
    whole = dict.fromkeys(name for name in pinned if name not in free)
    held = [key for name in whole for key in old if key.startswith(f"{name}.")] + list(beside)
    differences = [f"{key} is {old[key]}, requested {new[key]}" for key in held if old[key] != new[key]]
    if begun and stored.seed != merged.seed:
        differences.append(f"seed is {stored.seed}, requested {merged.seed}")
    if differences:
        raise InputError(
            f"{stored.path}: made with other settings ({'; '.join(differences)}); leave them out, or name another --run"
        )


def refuse_other(
    folder: Path, record: dict[str, Any], free: Sequence[str], kinds: dict[str, type] | None = None
) -> None:
    """Raise InputError with the difference where `folder` was begun with another `record`; `free` fields may differ.

    kinds: the settings class of each part of the record that is one, whose newer fields an old record lacks.
    """
    if not is_begun(folder):
        return
    begun = read_sealed(folder / "begun.json", f"delete {folder} to start it again")
    old = _flat(begun | {name: completed(kind, begun[name]) for name, kind in (kinds or {}).items()})
    new = _flat(record)
    names = [k for k in sorted(old.keys() | new.keys()) if k not in free and old.get(k) != new.get(k)]
    if names:
        differences = "; ".join(f"{k} is {old.get(k)}, requested {new.get(k)}" for k in names)
        raise InputError(f"{folder}: made with other settings ({differences}); --set them back, or name another --run")


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with its stages' fields as ``stage.field``."""
    nested = {f"{k}.{field}": v for k, part in record.items() if isinstance(part, dict) for field, v in part.items()}
    return nested | {k: v for k, v in record.items() if not isinstance(v, dict)}


def _write_config(run: Run) -> None:
    write_sealed(
        run.path / "config.json",
        {
            "task": run.task,
            "preset": run.preset,
            "seed": run.seed,
            "overrides": run.overrides,
            "stages": dataclasses.asdict(run.stages),  # type: ignore[call-overload]
            **environment(),
        },
    )


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
                (folder / ".lock").unlink(missing_ok=True)
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
        if path.name in ("begun.json", ".holder.json") or (path.is_file() and path.name != ".lock" and _empty(path)):
            path.unlink()
    if config is not None and before is None:
        config.unlink(missing_ok=True)
    elif config is not None and config.read_bytes() != before:
        atomic_write(config, before)


def _empty(path: Path) -> bool:
    return path.stat().st_size == 0


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, and name its holder beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    holder, lock = folder / ".holder.json", FileLock(folder / ".lock", timeout=0)
    _acquire(lock, holder)
    try:
        for half_written in folder.glob(".*.tmp"):  # by a worker that was killed
            half_written.unlink()
        write_json(holder, {"pid": os.getpid(), "host": socket.gethostname()})
        (folder / MANIFEST).unlink(missing_ok=True)  # its files may change now
        yield
        holder.unlink(missing_ok=True)
    finally:
        lock.release()


def _acquire(lock: FileLock, holder: Path) -> None:
    """Take a lock; InputError where another holds it, or where the file system has none, as some networks' have not."""
    try:
        lock.acquire()
    except Timeout:
        raise InputError(f"{holder.parent}: {_holder(holder)} is using it; wait for it") from None
    except (OSError, NotImplementedError) as error:
        number = getattr(error, "errno", None) or errno.ENOSYS
        if number not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        why = f"its file system cannot lock files ({os.strerror(number)})"
        raise InputError(f"{holder.parent}: {why}; put the run on another one, a local disk say") from None


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
