"""The run folder: what a run is made with, which stage is under way, and its records.

``config.json`` holds everything resolved. A stage is `begun` once its folder holds its own copy of the settings it
was begun with, and `finished` once it holds ``done.json``; both are written atomically, and a finished stage has a
``manifest.json`` of its files.
"""

import contextlib
import dataclasses
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Generic

from filelock import FileLock, Timeout

from experiment.config import S, Settings, completed, from_values
from experiment.errors import InputError
from experiment.files import MANIFEST, read_json, read_sealed, write_json, write_manifest, write_sealed
from experiment.provenance import environment

FOLDERS = {"collect": "rollouts", "vae": "vae", "series": "series", "rnn": "rnn"}
# whichever stage is begun pins its own settings and those of what it was made from
PINNED = {"collect": ("env", "collect"), "vae": ("vae",), "series": ("series",), "rnn": ("rnn",)}


@dataclasses.dataclass(frozen=True)
class Run(Generic[S]):
    """One run: its folder, task, preset, seed and the resolved settings of every stage."""

    path: Path
    task: str
    preset: str
    seed: int
    stages: S

    def folder(self, stage: str) -> Path:
        """Return where a stage keeps its files."""
        return self.path / FOLDERS[stage]

    def pinned(self, stage: str) -> dict[str, dict[str, Any]]:
        """Return the settings that a stage is made with, by stage and field."""
        return {name: vars(getattr(self.stages, name)) for name in PINNED[stage]}


def open_run(path: Path, wanted: Run[S], explicit: set[str], preset_given: bool) -> Run[S]:
    """Return the run in `path`, created or continued with the `wanted` settings.

    `explicit` names the ``stage.field`` (and "seed") the command set itself: these, and all fields where the preset
    was given and differs from the stored one, must agree with what stages already begun were made with; otherwise
    InputError names the difference. What no stage depends on yet is updated.
    """
    stored = load_run(path, wanted.stages, missing_ok=True)
    if stored is None:
        _write_config(wanted)
        return wanted
    if stored.task != wanted.task:
        raise InputError(f"{path}: belongs to task {stored.task}, not {wanted.task}; name another --run")
    merged = _merge(stored, wanted, explicit, whole=preset_given and wanted.preset != stored.preset)
    _refuse_differences(stored, merged)
    if merged != stored:
        _write_config(merged)
    return merged


def load_run(path: Path, like: S, missing_ok: bool = False) -> Run[S] | None:
    """Return the run stored in `path`, with settings of the same types as `like`.

    InputError (or None with `missing_ok`) where there is none.
    """
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
        return Run(path, str(values["task"]), str(values["preset"]), values["seed"], type(like)(**stages))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise InputError(f"{file}: not a run's configuration ({error!r})") from None


def _merge(stored: Run[S], wanted: Run[S], explicit: set[str], whole: bool) -> Run[S]:
    """Return the stored run with this command's settings over it."""
    if whole:
        return dataclasses.replace(wanted, seed=wanted.seed if "seed" in explicit else stored.seed)
    stages = {}
    for name, config in vars(stored.stages).items():
        said = {w.split(".")[1] for w in explicit if w.startswith(f"{name}.")}
        values = {key: getattr(getattr(wanted.stages, name), key) for key in said}
        stages[name] = dataclasses.replace(config, **values)
    seed = wanted.seed if "seed" in explicit else stored.seed
    return dataclasses.replace(stored, stages=type(stored.stages)(**stages), seed=seed)


def _refuse_differences(stored: Run, merged: Run) -> None:
    begun = [stage for stage in FOLDERS if (stored.folder(stage) / "begun.json").exists()]
    differences = []
    for stage in begun:
        wanted = merged.pinned(stage)
        for name, old in stored.pinned(stage).items():
            new = wanted[name]
            differences += [f"{name}.{k} is {old[k]}, requested {new[k]}" for k in old if old[k] != new[k]]
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
    if not (folder / "begun.json").exists():
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
            "stages": dataclasses.asdict(run.stages),  # type: ignore[call-overload]
            **environment(),
        },
    )


@contextlib.contextmanager
def working(folder: Path, record: dict[str, Any]) -> Iterator[None]:
    """Hold the lock of a stage's folder and mark the stage begun with `record`.

    InputError at once, naming the first one's pid and host, where another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / ".holder.json"
    try:
        with FileLock(folder / ".lock", timeout=0):
            for half_written in folder.glob(".*.tmp"):  # by a worker that was killed
                half_written.unlink()
            write_json(holder, {"pid": os.getpid(), "host": socket.gethostname()})
            (folder / MANIFEST).unlink(missing_ok=True)  # its files may change now
            if not (folder / "begun.json").exists():
                write_sealed(folder / "begun.json", record)
            yield
            holder.unlink(missing_ok=True)
    except Timeout:
        raise InputError(f"{folder}: {_holder(holder)} is using it; wait for it") from None


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
