"""An iteration of the paper's iterative procedure: a run that goes on from what the agent of another run saw.

Source: paper, section 5 (the agent acts, M learns from what was seen too, C is trained again in it, and so on).

From its first moment on such a run holds ``before/``: ``played_by.json`` (whose episodes it collects, and the path of
that run), ``rnn`` and ``controller`` (the M and the agent that its own go on from), and everything seen before:

    where V is frozen      the old V as the run's own, and ``series``, the series of all earlier episodes
    where V goes on        ``vae`` (the V that its own goes on from) and ``rollouts``, all earlier episodes, of which
                           ``held_out.json`` lists those never trained on; encoding adds ``series``

Where V goes on after it was frozen, the episodes before are those that lie in each run before, back to one that holds
all earlier ones.
"""

import contextlib
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from controller.checkpoints import load_candidates, load_means
from controller.config import IterateConfig, Stages
from experiment.errors import InputError, command
from experiment.files import (
    atomic_write,
    check_manifest,
    copy_files,
    read_file,
    read_sealed,
    write_manifest,
    write_sealed,
)
from experiment.planning import open_run, plan_run
from experiment.provenance import digest
from experiment.runs import Run, load_run, save_run
from experiment.stage_folder import finished, is_begun, made_beside
from experiment.stages import need, network_digests, refuse_other_networks, weights_digest
from rnn.series import shard_episodes, shard_path, shard_paths
from vae.config import NEW
from vae.episodes import episode_length, episode_path, list_episodes, split_episodes

BEFORE = "before"
PLAYED_BY = "played_by.json"
GOES_ON_FROM = "run"  # in it, the path of the old run from this one
HELD_OUT = "held_out.json"
FOLLOWING = {  # settings of an iteration after the first, and the fields of `iterate` that say them
    "collect.episodes": "episodes",
    "collect.minimum_length": "minimum_length",
    "vae.epochs": "vae_epochs",
    "vae.max_frames": "vae_max_frames",
    "vae.learning_rate": "vae_learning_rate",
    "rnn.epochs": "rnn_epochs",
    "rnn.learning_rate": "rnn_learning_rate",
    "controller.generations": "generations",
}
ITERATE_FIELDS = {  # fields of `iterate` that a stage of an iteration is made with, beside its own settings
    "collect": ("explore_share", "explore_noise", "candidates", "means"),
    "vae": ("new_share",),
    "rnn": ("new_share",),
}
CANDIDATES, MEANS = "candidates", "means"  # in `PLAYED_BY`, what tells the explorers from all others
ALONE = "--set iterate.candidates=1 --set iterate.means=0 does without it, as an older release has to"
SHAPES = ("hidden_size", "mixtures", "done_head", "reward_head", "precision")  # of M, which goes on


def is_iteration(run: Path) -> bool:
    """Return whether a run's episodes are those of another run's agent."""
    return (run / BEFORE).exists()


def previous(run: Path, part: str) -> Path:
    """Return the folder of what was there before: "series", "rnn", "controller", and "vae", "rollouts" if V goes on.

    InputError where it lacks a file, and where the series are of another V than the run's.
    """
    folder, advice = run / BEFORE / part, f"to begin the iteration again, delete {run} and run scripts/iterate.py again"
    check_manifest(folder, advice)
    refuse_other_networks(run, folder, advice)
    return folder


def iterate_command(run: Run) -> str:
    """Return the command that goes on with the collecting of an iteration's episodes.

    OLD stands for the run that it goes on from where the iteration is of before that was kept.
    """
    file = run.path / BEFORE / PLAYED_BY
    signed = read_sealed(file) if file.exists() else {}
    old = os.path.normpath(run.path / signed[GOES_ON_FROM]) if GOES_ON_FROM in signed else "OLD"
    agent = ("--controller", signed["controller"]) if "controller" in signed else ()
    return command("scripts/iterate.py", run.task, "--run", old, "--to", run.path, *agent)


def vae_goes_on(run: Path) -> bool:
    """Return whether an iteration trains V further."""
    return (run / BEFORE / "vae").exists()


def refuse_start(run: Run) -> None:
    """Raise InputError where an iteration is to train V further from another V than that of the run before."""
    if run.stages.vae.start != NEW:
        raise InputError("--set vae.start: an iteration's V goes on from that of the run before; leave it out")


def refuse_frozen_vae(run: Run) -> None:
    """Raise InputError where V is to be trained in an iteration whose V is that of the run before, and stays so."""
    folder = run.folder("vae")
    if is_iteration(run.path) and not vae_goes_on(run.path) and finished(folder) is None:
        raise InputError(f"{folder}: an iteration's V that is frozen; copy it from the run before, as it was there")


def earlier_episodes(run: Path) -> tuple[list[Path], list[Path]]:
    """Return the (training, held-out) episodes of all runs before, which an iteration holds where its V goes on."""
    paths = list_episodes(previous(run, "rollouts"))
    held = set(read_sealed(run / BEFORE / HELD_OUT)["numbers"])
    return [p for n, p in enumerate(paths) if n not in held], [p for n, p in enumerate(paths) if n in held]


def following_stages(stages: Stages) -> Stages:
    """Return the settings of the next iteration: those that `stages.iterate` changes."""
    wanted, frozen = stages.iterate, not stages.iterate.vae_epochs
    changed: dict[str, dict[str, Any]] = {"vae": {} if frozen else {"final_learning_rate": 0.0, "start": NEW}}
    for name, source in FOLLOWING.items():
        stage, key = name.split(".")
        if (stage == "vae" and frozen) or (source == "vae_max_frames" and not wanted.vae_max_frames):
            continue
        changed.setdefault(stage, {})[key] = getattr(wanted, source)
    return dataclasses.replace(
        stages, **{stage: dataclasses.replace(getattr(stages, stage), **values) for stage, values in changed.items()}
    )


def explores(attempt: int, share: float) -> bool:
    """Return whether the agent explores in an attempt; these are spread evenly; the first does only where all do."""
    return int((attempt + 1) * share) > int(attempt * share)


def who_plays(config: IterateConfig, folder: Path, weights: np.ndarray) -> Callable[[int], tuple[str, np.ndarray]]:
    """Return what says who plays an attempt: the agent of weights [P] in `folder`, or an explorer.

    Explorers are the agent, or the best candidates of its search's last generation, and its latest evaluated means.
    Raises InputError where those are missing or damaged.
    """
    size, explorers = len(weights), weights[None]
    if config.candidates > 1:
        explorers = load_candidates(folder, size, ALONE)[: config.candidates]
    if config.means:
        explorers = np.concatenate([explorers, load_means(folder, size, ALONE)[1][-config.means :]])

    def player(attempt: int) -> tuple[str, np.ndarray]:
        if not explores(attempt, config.explore_share):
            return "record", weights
        return "explore", explorers[int(attempt * config.explore_share) % len(explorers)]

    return player


def signature(old: Run[Stages], controller: Path, weights: np.ndarray) -> dict[str, Any]:
    """Return who plays: the controller's name, and what tells its weights [P] and those of V and M from all others.

    Where its last generation is there and whole, the candidates in it [n, P] too, and so its evaluated means.
    """
    digests = {network: weights_digest(old.path, network) for network in ("vae", "rnn")}
    with contextlib.suppress(InputError):  # whoever plays them reads them again
        digests[CANDIDATES] = digest(load_candidates(controller, len(weights)).tolist())
    with contextlib.suppress(InputError):
        digests[MEANS] = digest(load_means(controller, len(weights))[1].tolist())
    return {"controller": controller.name, "weights": digest(weights.tolist()), **digests}


def pinned_iterate_fields(run: Run[Stages]) -> list[str]:
    """Return the ``stage.field`` of `iterate` that begun stages of an iteration were made with; of another run none."""
    if not is_iteration(run.path):
        return []
    begun = [s for s in ITERATE_FIELDS if is_begun(run.folder(s)) and (s != "vae" or vae_goes_on(run.path))]
    return [f"iterate.{name}" for name in dict.fromkeys(name for stage in begun for name in ITERATE_FIELDS[stage])]


def plan_iteration(old: Run[Stages], wanted: Run[Stages], explicit: set[str]) -> Run[Stages]:
    """Return the iteration of `old` in ``wanted.path``, to be begun or continued; nothing is written.

    `explicit`: as of `plan_run`. InputError where something else is there, or where settings differ that cannot.
    """
    _refuse_other_shapes(old, wanted)
    if wanted.path.exists() and not is_iteration(wanted.path):
        raise InputError(f"--to {wanted.path}: already exists, and is no iteration of {old.path}; name another folder")
    return plan_run(wanted.path, wanted, explicit, preset_given=False, beside=pinned_iterate_fields(wanted))


def open_iteration(old: Run[Stages], planned: Run[Stages], agent: dict[str, Any], controller: Path) -> None:
    """Begin or continue the `planned` iteration of the `agent` of `old`, in the folder `controller`.

    Raises InputError where another agent plays there.
    """
    path = planned.path
    if not path.exists():
        _begin(old, planned, agent, controller)
    signed = read_sealed(path / BEFORE / PLAYED_BY)
    if any(signed.get(key) != value for key, value in agent.items() if _plays(key, signed, planned.stages)):
        raise InputError(f"--to {path}: another agent plays there, or this one has changed; name another folder")
    save_run(planned)


def _plays(part: str, signed: dict[str, Any], stages: Stages) -> bool:
    """Return whether a part of the `signature` plays: explorers only where they do; older records lack them."""
    explorers = {CANDIDATES: stages.iterate.candidates > 1, MEANS: stages.iterate.means > 0}
    return part not in explorers or (part in signed and explorers[part])


def _refuse_other_shapes(old: Run[Stages], wanted: Run[Stages]) -> None:
    """Raise InputError where settings differ that belong to a V and an M which go on."""
    frozen = not wanted.stages.iterate.vae_epochs
    if not frozen:
        refuse_start(wanted)
    names = [("vae", key) for key in (vars(old.stages.vae) if frozen else ("z_size", "precision"))]
    for stage, key in [*names, *(("rnn", key) for key in SHAPES)]:
        was, asked = (getattr(getattr(run.stages, stage), key) for run in (old, wanted))
        if was != asked:
            raise InputError(f"--set {stage}.{key}={asked}: is {was} in {old.path}, whose V and M go on; leave it out")


def _begin(old: Run[Stages], wanted: Run[Stages], agent: dict[str, Any], controller: Path) -> None:
    """Make the new run's folder whole, beside its place, and move it there."""
    weights = ("weights.npz", "weights.json")
    with made_beside(wanted.path) as half:
        copy_files([old.folder("rnn") / name for name in weights], half / BEFORE / "rnn")
        copy_files([controller / name for name in ("best.npz", "best.json")], half / BEFORE / "controller")
        if wanted.stages.iterate.vae_epochs:
            copy_files([old.folder("vae") / name for name in weights], half / BEFORE / "vae")
            _keep_episodes(old, half / BEFORE)
        else:
            copy_files([path for path in old.folder("vae").iterdir() if path.is_file()], half / "vae")
            _keep_series(old, half / BEFORE / "series")
            write_sealed(half / BEFORE / "series" / "begun.json", network_digests(half, "series"))
        for folder in sorted((half / BEFORE).iterdir()):
            if folder.is_dir():
                write_manifest(folder)
        origin = {GOES_ON_FROM: os.path.relpath(old.path, wanted.path)}
        write_sealed(half / BEFORE / PLAYED_BY, agent | origin)
        open_run(half, Run(half, wanted.task, wanted.preset, wanted.seed, wanted.stages), set(), preset_given=False)


def _keep_series(old: Run[Stages], target: Path) -> None:
    """Link the series of all episodes up to those of the old run."""
    folders = [old.path / BEFORE / "series"] if is_iteration(old.path) else []
    shards = [path for folder in [*folders, old.folder("series")] for path in shard_paths(folder)]
    target.mkdir(parents=True)
    for number, path in enumerate(shards):
        _link(path, shard_path(target, number))


def _keep_episodes(old: Run[Stages], target: Path) -> None:
    """Link all episodes up to those of the old run, and note which of them are held out."""
    episodes = _episodes_up_to(old)
    in_order = [path for kept in (True, False) for path, held in episodes if held is kept]
    (target / "rollouts").mkdir(parents=True)
    for number, path in enumerate(in_order):
        _link(path, episode_path(target / "rollouts", number))
    write_sealed(target / HELD_OUT, {"numbers": list(range(sum(held for _, held in episodes)))})


def _episodes_up_to(run: Run[Stages]) -> list[tuple[Path, bool]]:
    """Return the episodes of a run and of all iterations before it, in this order, and whether each is held out.

    An iteration whose V goes on holds those before it. One whose V is frozen holds their series alone: each run before
    it has its own episodes, which have to be those of the series. InputError where they are not, or are gone.
    """
    need(run, "collect", iterate_command(run) if is_iteration(run.path) else "")
    own = _marked(*split_episodes(list_episodes(run.folder("collect")), run.seed))
    if not is_iteration(run.path):
        return own
    if vae_goes_on(run.path):
        return _marked(*earlier_episodes(run.path)) + own
    before = _run_before(run)
    earlier = _episodes_up_to(before)
    if [(episode_length(path), held_out) for path, held_out in earlier] != _encoded(previous(run.path, "series")):
        raise InputError(f"{before.folder('collect')}: not the episodes that {run.path} goes on from; {_lost(run)}")
    return earlier + own


def _marked(training: list[Path], held: list[Path]) -> list[tuple[Path, bool]]:
    """Return the episodes of one folder in order, and whether each is held out."""
    return sorted([*((path, False) for path in training), *((path, True) for path in held)])


def _run_before(run: Run[Stages]) -> Run[Stages]:
    """Return the run that an iteration goes on from; InputError where it, or the M that it had, is gone."""
    signed = read_sealed(run.path / BEFORE / PLAYED_BY)
    if GOES_ON_FROM not in signed:
        file = run.path / BEFORE / PLAYED_BY
        raise InputError(f"{file}: does not say which run was before, as older ones; {_lost(run)}")
    places = [Path(os.path.normpath(base / signed[GOES_ON_FROM])) for base in (run.path, run.path.resolve())]
    old = load_run(places[0], run.stages, missing_ok=True) or load_run(places[1], run.stages, missing_ok=True)
    if old is None:
        raise InputError(f"{places[0]}: no run in it; move it back there, since {_lost(run)}")
    if weights_digest(old.path, "rnn") != signed["rnn"]:
        raise InputError(f"{old.path / 'rnn'}: not the M that {run.path} goes on from; {_lost(run)}")
    return old


def _lost(run: Run[Stages]) -> str:
    """Say what an iteration whose V was frozen lacks for a V that goes on after it."""
    return (
        f"V cannot go on without the frames before {run.path}, whose V was frozen (iterate.vae_epochs=0 leaves it so)"
    )


def _encoded(folder: Path) -> list[tuple[int, bool]]:
    """Return (steps, whether held out) of every episode that the shards of a folder hold."""
    return [pair for path in shard_paths(folder) for pair in shard_episodes(path)]


def _link(path: Path, target: Path) -> None:
    """Link a file to another place, or copy it where the disk is another one; files here are only ever replaced."""
    try:
        os.link(path, target)
    except OSError:
        atomic_write(target, read_file(path))
