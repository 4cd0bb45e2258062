"""Stages of a run: what must be finished before one, which V and M one is made with, and how one is worked on.

The record of a stage (``begun.json``) tells the weights of the V and M that it is made with, as far as they are there
when it is begun. A stage of another V or M than the run holds now is neither gone on with, nor read; one whose record
is older and tells none, and one whose V and M are not there, is taken as it is.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from experiment.errors import InputError, command
from experiment.files import CHECKPOINT, check_manifest, read_file, read_sealed, then
from experiment.runs import FOLDERS, Run, save_run
from experiment.stage_folder import finish, finished, is_begun, working

SCRIPTS = {"collect": "collect_rollouts.py", "vae": "train_vae.py", "series": "encode_series.py", "rnn": "train_rnn.py"}
NETWORKS = {"series": ("vae",), "rnn": ("vae",), "controller": ("vae", "rnn")}  # that a stage is made with
LETTERS = {"vae": "V", "rnn": "M"}
WEIGHTS = "weights.npz"
FIRST_FRAMES = "initial_z.npz"  # of the series
DIGESTS_KEY = "made_from"  # in a record, of the SHA-256 of its networks' weights, see `network_digests`


def weights_digest(run: Path, network: str) -> str:
    """Return the SHA-256 of the weights of a run's "vae" or "rnn"; InputError where they are missing or damaged."""
    return _digest(run, network, WEIGHTS)


def first_frames_digest(run: Path) -> str:
    """Return the SHA-256 of the encoded first frames that a run's dreams start from; InputError where they are missing.

    They are not among a record's networks, others of which are refused wherever it is read: what learned in one dream
    may be played elsewhere.
    """
    return _digest(run, "series", FIRST_FRAMES)


def _digest(run: Path, stage: str, name: str) -> str:
    again = f"run scripts/{SCRIPTS[stage]} first, or again after deleting the folder"
    return hashlib.sha256(read_file(run / FOLDERS[stage] / name, again)).hexdigest()


def network_digests(run: Path, stage: str) -> dict[str, dict[str, str]]:
    """Return what the record of a stage, or of a "controller", tells of the networks that it is made with."""
    there = [name for name in NETWORKS.get(stage, ()) if (run / FOLDERS[name] / WEIGHTS).exists()]
    return {DIGESTS_KEY: {name: weights_digest(run, name) for name in there}} if there else {}


def refuse_other_networks(run: Path, folder: Path, advice: str) -> None:
    """Raise InputError, ending in `advice`, where a folder is made with another V or M than its run holds now."""
    if not is_begun(folder):
        return
    record = read_sealed(folder / "begun.json", advice)
    for name, recorded in record.get(DIGESTS_KEY, {}).items():
        network = run / FOLDERS[name]
        if (network / WEIGHTS).exists() and weights_digest(run, name) != recorded:
            what = f"made with another {LETTERS[name]} than {network} holds now"
            raise InputError(f"{folder}: {what}{then(advice, folder / 'begun.json')}")


def need(run: Run, stage: str, again: str = "") -> None:
    """Raise InputError naming the command to run first where a stage is not finished, or cannot be used.

    That is one that lacks a file of its manifest, or is made with another V than the run holds now.
    again: that command, where it is not the stage's script with the run's task and folder.
    """
    folder, again = run.folder(stage), again or command(f"scripts/{SCRIPTS[stage]}", run.task, "--run", run.path)
    if finished(folder) is None:
        raise InputError(f"{folder}: not finished; run {again} first")
    check_manifest(folder, f"delete {folder / 'done.json'} and run {again} again")
    refuse_other_networks(run.path, folder, f"delete {folder} and run {again} again")


def run_stage(
    run: Run,
    stage: str,
    produce: Callable[[Path], dict[str, Any]],
    following: str,
    labels: dict[str, Any] | None = None,
) -> None:
    """Work on a stage under its lock unless it is finished, and say what came of it and what to do next.

    labels: what its record says beside its settings. Raises InputError where it is begun with another V.
    """
    folder = run.folder(stage)
    refuse_other_networks(run.path, folder, f"delete {folder} and run the same command again")
    summary = finished(folder)
    if summary is None:
        with working(folder, run.pinned(stage) | network_digests(run.path, stage) | (labels or {}), run):
            summary = produce(folder)
            finish(folder, summary)
        print(f"{FOLDERS[stage]}: done, {_figures(summary)}; wrote {folder}")
    else:
        save_run(run)
        print(f"{FOLDERS[stage]}: already finished ({_figures(summary)}); nothing to do")
    # what a training went on from: not before its stage is marked finished, and where a kill left it then
    (folder / CHECKPOINT).unlink(missing_ok=True)
    print(f"next: {following}")


def _figures(summary: dict[str, Any]) -> str:
    forms = {float: "{:,.4g}", int: "{:,}"}
    return ", ".join(f"{name} {forms.get(type(value), '{}').format(value)}" for name, value in summary.items())
