"""Stages of a run: what must be finished before one, and how one is worked on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiment.errors import InputError, command
from experiment.files import CHECKPOINT, check_manifest
from experiment.runs import FOLDERS, Run, finish, finished, save_run, working

SCRIPTS = {"collect": "collect_rollouts.py", "vae": "train_vae.py", "series": "encode_series.py", "rnn": "train_rnn.py"}


def need(run: Run, stage: str, again: str = "") -> None:
    """Raise InputError naming the command to run first where a stage is not finished, or lacks a file of its manifest.

    again: that command, where it is not the stage's script with the run's task and folder.
    """
    folder, again = run.folder(stage), again or command(f"scripts/{SCRIPTS[stage]}", run.task, "--run", run.path)
    if finished(folder) is None:
        raise InputError(f"{folder}: not finished; run {again} first")
    check_manifest(folder, f"delete {folder / 'done.json'} and run {again} again")


def run_stage(
    run: Run,
    stage: str,
    produce: Callable[[Path], dict[str, Any]],
    following: str,
    labels: dict[str, Any] | None = None,
) -> None:
    """Work on a stage under its lock unless it is finished, and say what came of it and what to do next.

    labels: what its record says beside its settings.
    """
    folder = run.folder(stage)
    summary = finished(folder)
    if summary is None:
        with working(folder, run.pinned(stage) | (labels or {}), run):
            summary = produce(folder)
            finish(folder, summary)
        _drop_checkpoint(folder)
        print(f"{FOLDERS[stage]}: done, {_figures(summary)}; wrote {folder}")
    else:
        save_run(run)
        _drop_checkpoint(folder)
        print(f"{FOLDERS[stage]}: already finished ({_figures(summary)}); nothing to do")
    print(f"next: {following}")


def _drop_checkpoint(folder: Path) -> None:
    """Remove what a training went on from: not before its stage is marked finished, and where a kill left it then."""
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _figures(summary: dict[str, Any]) -> str:
    forms = {float: "{:,.4g}", int: "{:,}"}
    return ", ".join(f"{name} {forms.get(type(value), '{}').format(value)}" for name, value in summary.items())
