"""Evaluate an agent or a scripted policy in the real environment or in the dream.

    mpirun -n 2 python -m mpi4py scripts/evaluate.py doomrnn --run runs/demo --world real --episodes 100 --seed 7
    python scripts/evaluate.py doomrnn --run runs/demo --policy sweep --period 120 --world dream --temperature 1.15

Several policies or worlds may be named; each pair is evaluated and written to evaluation/*.json, or into --to where the
run cannot be written. Nothing else of the run is written: what --set changes is in a file's name. While it is played,
an evaluation's episodes are kept in a .jsonl beside its place, so that the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cli

cli.one_thread_a_rank()

from reporting.tables import row

from controller.checkpoints import CHECKPOINTS, find_controller, load_controller, training_temperature
from controller.config import WORLDS, World
from controller.evaluation import Conditions, Evaluation, Subject, conditions, play, summarise
from controller.policy_spec import PolicyShape
from controller.score_files import PlayedEpisodes, load_evaluations, played_file, save_evaluation
from controller.workers import TaskPlayers, play_setup
from experiment.errors import InputError, command
from experiment.files import check_writable
from experiment.stage_folder import held_file
from experiment.stages import need
from rollouts.farm import Farm

if TYPE_CHECKING:
    from controller.task import Task
    from experiment.runs import Run


COLLECTOR = "collector"
READ = (*cli.PLAYING, "evaluate.episodes")  # settings that count here


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = cli.parser(__doc__, preset=False, seed_help="seed of the episodes; none was ever trained on (default 0)")
    which = "a folder in controller/ (default: the only one there, or the task's usual one)"
    parser.add_argument("--controller", metavar="NAME", help=which)
    parser.add_argument("--checkpoint", choices=CHECKPOINTS, help="which weights (default best)")
    parser.add_argument("--world", nargs="+", choices=WORLDS, default=["real"], help="where to play (real)")
    parser.add_argument("--temperature", type=cli.temperature, help="of the dream (default: the controller's)")
    parser.add_argument(
        "--policy",
        nargs="+",
        default=["agent"],
        metavar="POLICY",
        help="agent, collector (who collects this run's episodes), or a scripted policy of the task (default agent): "
        + "; ".join(f"{name}: {', '.join(cli.task(name).policies)}" for name in cli.TASKS),
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="where the scores go (default: evaluation/ in the run)")
    parser.add_argument("--period", type=cli.positive, help="steps a sweep holds each side (default: the task's)")
    parser.add_argument("--episodes", type=cli.positive, help="episodes of each policy and world (evaluate.episodes)")
    arguments = parser.parse_args()
    for policy in arguments.policy:
        if policy not in ("agent", COLLECTOR, *(known := cli.task(arguments.task).policies)):
            parser.error(f"argument --policy: {policy} is not one of agent, {COLLECTOR}, {', '.join(known)}")
    parser.refuse_temperature_of_no_dream(arguments)
    for name in ("controller", "checkpoint"):
        if getattr(arguments, name) is not None and "agent" not in arguments.policy:
            parser.error(f"argument --{name}: is of the agent; add agent to --policy, or leave it out")
    return arguments


def main() -> None:
    """Parse, evaluate on all ranks, report on rank 0."""
    arguments = parse()
    comm = cli.communicator()
    with cli.ending_well(comm):
        task = cli.task(arguments.task)
        if cli.rank():
            return cli.serve(comm, task, tensorflow="agent" in arguments.policy or "dream" in arguments.world)
        run = cli.resolve(arguments, own_seed=True, free=("env", "collect"), read=READ)
        check_writable(arguments.to or run.path / "evaluation", "name another folder with --to")
        if "dream" in arguments.world:
            cli.need_done_or_reward_head(run)
        subjects, shape = who_plays(arguments, task, run)
        controller = next((subject.controller for subject in subjects if subject.controller), None)
        temperature = arguments.temperature or training_temperature(run, controller)
        if shape or "dream" in arguments.world:
            need(run, "rnn")
            cli.load_tensorflow()
        folder = run.path / "controller" / controller if controller else None
        setup = play_setup(run, arguments.world, shape, temperature, controller=folder)
        with Farm(TaskPlayers(task, setup), comm, setup) as farm:
            for world in arguments.world:
                evaluate(arguments, subjects, world, temperature, farm, run)
        if not arguments.to:  # a report shows what is in the run
            print("next:", command("python", "scripts/report.py", "--run", arguments.run))
    return None


def who_plays(arguments: argparse.Namespace, task: Task, run: Run) -> tuple[list[Subject], PolicyShape | None]:
    """Return the policies of the arguments, and the shape of the agent's controller if it is among them.

    Raises InputError for a period that none of them has.
    """
    subjects, shape = [], None
    for policy in arguments.policy:
        if policy == "agent":
            folder = find_controller(run.path, arguments.controller, task.usual_controller)
            checkpoint = arguments.checkpoint or "best"
            shape, weights = load_controller(folder, checkpoint)
            subjects.append(Subject("agent", weights, folder.name, checkpoint))
        elif policy == COLLECTOR:
            script = task.collector(run.stages.collect)
            subjects.append(Subject(script.label, script))
        else:
            subjects.append(Subject(policy, task.script(policy, arguments.period)))
    if arguments.period and not any(subject.period == arguments.period for subject in subjects):
        raise InputError(f"--period {arguments.period}: none of {', '.join(arguments.policy)} has one; leave it out")
    return subjects, shape


def evaluate(
    arguments: argparse.Namespace, subjects: list[Subject], world: World, temperature: float, farm: Farm, run: Run
) -> None:
    """Evaluate all policies in one world side by side, passing over what was evaluated before; rank 0 only."""
    folder = arguments.to or run.path / "evaluation"
    episodes, seed = arguments.episodes or run.stages.evaluate.episodes, arguments.seed or 0
    known = [(subject, conditions(run, subject, world, temperature, episodes, seed)) for subject in subjects]
    todo = not_evaluated(known, folder, run.path / "evaluation", episodes)
    with contextlib.ExitStack() as held:
        for _, of in todo:
            held.enter_context(held_file(played_file(folder, of, episodes)))
        played = [PlayedEpisodes(folder, of, episodes) for _, of in todo]
        for (_, of), one in zip(todo, played, strict=True):
            if count := len(one.recovered):
                print(f"{label(of)}: {count} of {episodes} episodes were played before; going on", flush=True)
        outcomes = play(farm, world, [subject.acts for subject, _ in todo], episodes, seed, played)
        save(folder, [summarise(found, of) for (_, of), found in zip(todo, outcomes, strict=True)], played)


def not_evaluated(
    known: list[tuple[Subject, Conditions]], folder: Path, own: Path, episodes: int
) -> list[tuple[Subject, Conditions]]:
    """Return those that neither the folder of the scores nor the run's own holds yet, and say which are there.

    Where a controller's best and last weights are the same, the scores of the one are stored as those of the other.
    """
    before = load_evaluations(folder, advice="name another folder with --to") if folder != own else []
    before += load_evaluations(own)
    there: dict[tuple[str, str | None], dict[str, Evaluation]] = {}  # two controllers may have the same weights
    for e in before:
        there.setdefault((e.made_with, e.controller), {})[e.plays] = e
    todo: list[tuple[Subject, Conditions]] = []
    for subject, of in known:
        if of.made_with in {one.made_with for _, one in todo}:
            continue  # the collecting policy may be one of the task's scripts
        if found := there.get((of.made_with, of.controller)):
            print(f"{label(of)}: {passed_over(found, of, folder)}")
            played_file(folder, of, episodes).unlink(missing_ok=True)  # a kill may have come before it was deleted
        else:
            todo.append((subject, of))
    return todo


def passed_over(found: dict[str, Evaluation], of: Conditions, folder: Path) -> str:
    """Say what is known of the weights asked for, of evaluations by checkpoint; it is stored where it is not yet."""
    if of.plays in found:
        return f"{row(found[of.plays])}; evaluated before, nothing to do"
    other, evaluation = next(iter(found.items()))
    path = save_evaluation(folder, replace(evaluation, checkpoint=of.checkpoint))
    return f"{row(evaluation)}; evaluated before as its {other} weights, which are the same; wrote {path}"


def save(folder: Path, evaluations: list[Evaluation], played: list[PlayedEpisodes]) -> None:
    """Write and show evaluations: all are saved before one is shown, since showing may fail too."""
    lines = [f"{label(evaluation)}: {row(evaluation)}" for evaluation in evaluations]
    try:
        paths = [save_evaluation(folder, evaluation) for evaluation in evaluations]
    except OSError:  # what cannot be saved is shown
        print("\n".join(lines), flush=True)
        raise
    for one in played:
        one.delete()
    for line, path in zip(lines, paths, strict=True):
        print(f"{line}; wrote {path}", flush=True)


def label(evaluation: Conditions) -> str:
    """Return who plays where, and in which settings that are not the run's own."""
    settings = ", ".join(f"{name}={value}" for name, value in sorted(evaluation.settings.items()))
    return f"{evaluation.policy} in the {evaluation.world}" + (f" ({settings})" if settings else "")


if __name__ == "__main__":
    main()
