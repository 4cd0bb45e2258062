"""A turn of the iterative procedure: a run that goes on from what the agent of another run saw.

Source: paper, section 5 (the agent acts, M learns from what was seen too, C is grown anew in it, and so on).

From its first moment on such a run holds the old run's V as its own, and ``before/``: ``played_by.json`` (whose games
it collects), ``rnn`` (the M that its own goes on from) and ``series`` (those of all games before).
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from experiment.errors import InputError
from experiment.files import atomic_write, check_manifest, read_file, read_sealed, write_manifest, write_sealed
from experiment.provenance import digest
from experiment.runs import Run, open_run
from rnn.series import shard_path

BEFORE = "before"
PLAYED_BY = "played_by.json"


def is_iteration(run: Path) -> bool:
    """Whether a run's games are those of another run's agent."""
    return (run / BEFORE).exists()


def previous(run: Path, part: str) -> Path:
    """The folder of what was there before the turn: "series" or "rnn"."""
    folder = run / BEFORE / part
    check_manifest(folder, f"begin the turn anew: delete {run} and run scripts/iterate.py again")
    return folder


def signature(old: Run, controller: Path, weights: np.ndarray) -> dict[str, Any]:
    """Who plays: the controller's name, and what tells its weights [P] and those of V and M from all others."""
    files = {stage: read_file(old.folder(stage) / "weights.npz") for stage in ("vae", "rnn")}
    digests = {stage: hashlib.sha256(data).hexdigest() for stage, data in files.items()}
    return {"controller": controller.name, "weights": digest(weights.tolist()), **digests}


def open_iteration(old: Run, wanted: Run, explicit: set[str], agent: dict[str, Any]) -> Run:
    """The turn in ``wanted.path`` of the `agent` of `old`, begun or continued.

    `explicit`: as of `open_run`. InputError where something else is there, or settings were asked that cannot differ.
    """
    kept = [("vae", key) for key in vars(old.stages.vae)]
    kept += [("rnn", key) for key in ("hidden_size", "mixtures", "done_head", "reward_head", "precision")]
    for stage, key in kept:
        was, asked = (getattr(getattr(run.stages, stage), key) for run in (old, wanted))
        if was != asked:
            raise InputError(f"--set {stage}.{key}={asked}: is {was} in {old.path}, whose V and M go on; leave it out")
    if not wanted.path.exists():
        _begin(old, wanted, agent)
    elif not is_iteration(wanted.path):
        raise InputError(f"--to {wanted.path}: is there already, and no turn of {old.path}; name another folder")
    signed = read_sealed(wanted.path / BEFORE / PLAYED_BY)
    if any(signed.get(key) != value for key, value in agent.items()):
        raise InputError(f"--to {wanted.path}: another agent plays there, or this one has changed; name another folder")
    return open_run(wanted.path, wanted, explicit, preset_given=False)


def _begin(old: Run, wanted: Run, agent: dict[str, Any]) -> None:
    """Make the new run's folder whole, beside its place, and move it there."""
    half = wanted.path.with_name(f".{wanted.path.name}.{os.getpid()}.tmp")
    try:
        _copy([path for path in old.folder("vae").iterdir() if path.is_file()], half / "vae")
        _copy([old.folder("rnn") / name for name in ("weights.npz", "weights.json")], half / BEFORE / "rnn")
        folders = [old.path / BEFORE / "series"] if is_iteration(old.path) else []
        shards = [path for folder in [*folders, old.folder("series")] for path in sorted(folder.glob("series-*.npz"))]
        (half / BEFORE / "series").mkdir()
        for number, path in enumerate(shards):
            _link(path, shard_path(half / BEFORE / "series", number))
        for part in ("rnn", "series"):
            write_manifest(half / BEFORE / part)
        write_sealed(half / BEFORE / PLAYED_BY, agent)
        open_run(half, Run(half, wanted.task, wanted.preset, wanted.seed, wanted.stages), set(), preset_given=False)
        half.rename(wanted.path)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _copy(files: list[Path], target: Path) -> None:
    """Copies of a stage's files, each held against its manifest; hidden ones are left out."""
    for path in files:
        if not path.name.startswith("."):
            atomic_write(target / path.name, read_file(path))


def _link(path: Path, target: Path) -> None:
    """The same file in another place, or a copy where the disk is another one; files here are only ever replaced."""
    try:
        os.link(path, target)
    except OSError:
        atomic_write(target, read_file(path))
