"""The searches for C of an iteration of `reproduce.py --iterations`: their seeds and names, and which of them acts."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import cli

from controller.checkpoints import training_config
from controller.evaluation import Evaluation, largest
from controller.iteration import BEFORE, PLAYED_BY, is_iteration
from controller.score_files import evaluations_of
from controller.task import controller_name
from experiment.errors import InputError
from experiment.files import read_sealed
from experiment.runs import Run
from experiment.stage_folder import finished

SEED = 7  # of the evaluations; training and validation use streams of other purposes
# between the seeds of two searches of a later iteration: beyond those of all first iterations, of which
# `running.procedure.APART` are between those of two seeds of a procedure
LATER = 1_000_000
ITERATION, LANE = "iteration-", "seed-"  # how the folders of iterations begin, and those of a procedure's seeds


def is_lane(folder: Path) -> bool:
    """Return whether a folder is, by its name, that of one of a procedure's several seeds.

    A procedure of one seed is refused in a folder of such a name (see `running.procedure.iterate`).
    """
    return re.fullmatch(rf"{LANE}\d+", Path(os.path.abspath(folder)).name) is not None


def iteration_path(folder: Path, number: int) -> Path:
    """Return the run folder of an iteration, the first of which is 1."""
    return folder / f"{ITERATION}{number:02d}"


def search_seeds(run: Run) -> list[int]:
    """Return the seeds of an iteration's searches: no two of a procedure's are the same.

    Those of the first iteration are the run's own and one more each, as of `reproduce.py --seeds`.
    """
    count = range(run.stages.iterate.searches)
    return [run.seed + (LATER * (k + 1) if is_iteration(run.path) else k) for k in count]


def search_names(run: Run) -> list[str]:
    """Return the controllers that an iteration trains; what else was trained in its folder is none of them."""
    task, temperature = cli.task(run.task), run.stages.controller.temperature
    return [controller_name(task.world, task.variant, temperature, seed) for seed in search_seeds(run)]


def search_folder(run: Run, name: str) -> Path:
    """Return the folder of a search."""
    return run.path / "controller" / name


def agent_of(run: Run) -> str:
    """Return the controller of an iteration that acts: who has acted already, else the best by its own score."""
    number = int(run.path.name.removeprefix(ITERATION))
    played_by = iteration_path(run.path.parent, number + 1) / BEFORE / PLAYED_BY
    return str(read_sealed(played_by)["controller"]) if played_by.exists() else best_controller(run)


def best_controller(run: Run) -> str:
    """Return the name of the iteration's search with the highest score; InputError where none is finished.

    That is its mean in real validation episodes where it had some (`validates`), else in its own world.
    """
    scores = _best_scores(run)
    if not scores:
        raise InputError(f"{run.path / 'controller'}: none of {', '.join(search_names(run))} is finished")
    return max(scores, key=lambda name: scores[name])


def _best_scores(run: Run) -> dict[str, float]:
    """Return the best score of each finished search; imported weights were found by none."""
    done = {name: finished(search_folder(run, name)) or {} for name in search_names(run)}
    return {name: float(summary["best_score"]) for name, summary in done.items() if "best_score" in summary}


def real_score(run: Run, who: str) -> Evaluation:
    """Return the evaluation of an agent or a script in the real task; InputError where there is none."""
    found = [e for e in evaluations_of(run) if (e.world, e.who, e.seed) == ("real", who, SEED)]
    if not found:
        raise InputError(f"{run.path / 'evaluation'}: no real score of {who}, seed {SEED}; run scripts/evaluate.py")
    return largest(found, lambda e: e.who)[who]


def progress(runs: Sequence[Run]) -> tuple[str, list[float]]:
    """Return what the iterations so far are compared by, in words, and its value for each.

    The mean validation score of an iteration's searches where every one of them has real validation episodes, which
    are never reported; else the real score of its agent.
    """
    searches = [(run, name) for run in runs for name in _best_scores(run)]
    dreams = cli.task(runs[0].task).world == "dream"
    if dreams and all(map(_best_scores, runs)) and all(_validated(run, name) for run, name in searches):
        scores = [list(_best_scores(run).values()) for run in runs]
        return "mean validation score of its searches", [sum(found) / len(found) for found in scores]
    return cli.task(runs[0].task).score, [real_score(run, agent_of(run)).mean for run in runs]


def _validated(run: Run, name: str) -> bool:
    return training_config(search_folder(run, name), run.stages.controller).validates
