"""Which settings a run is made or continued with: a command's own, unless what is begun was made with others."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from experiment.config import S, completed
from experiment.errors import InputError
from experiment.files import read_json, read_sealed
from experiment.runs import FOLDERS, PINNED, Run, check_task, load_run, save_run
from experiment.stage_folder import IMPORTED_FROM, is_begun


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
    if "collect" not in begun and any(_trained_here(stored.folder(stage)) for stage in begun):
        pinned.append("collect")  # as in a release: its networks learned from episodes that are not there any more
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


def _trained_here(folder: Path) -> bool:
    """Whether what a begun stage holds was made from this run's episodes, not imported."""
    done = folder / "done.json"
    return not (done.exists() and IMPORTED_FROM in read_json(done, f"delete {folder} to make it again"))


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
