"""Begin an iteration of the paper's iterative procedure: the agent acts, and a new run goes on from what it saw.

    mpirun -n 2 python -m mpi4py scripts/iterate.py doomrnn --run runs/one --to runs/two --set iterate.episodes=1000
    python scripts/train_vae.py doomrnn --run runs/two      # only where iterate.vae_epochs is above 0
    python scripts/encode_series.py doomrnn --run runs/two
    python scripts/train_rnn.py doomrnn --run runs/two
    mpirun -n 2 python -m mpi4py scripts/train_controller.py doomrnn --run runs/two

The agent of --run acts in the real task, evaluate.games_per_rank episodes at a time, and explores in a share of them.
The run in --to begins with these episodes and with everything seen before; its V (unless frozen) and M go on from the
old weights, and C from the agent, the best evaluated mean, with sigma_init again, in the first of the searches
(iterate.keep_mean). What it does differently is set by the fields of `iterate`, or by --set for this run alone.
`reproduce.py --iterations` takes as many iterations as wanted, stage by stage.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cli

cli.one_thread_a_rank()

from controller.checkpoints import find_controller, load_controller, training_config
from controller.iteration import following_stages, open_iteration, plan_iteration, signature, vae_goes_on, who_plays
from controller.score_files import evaluations_of
from controller.workers import Setup, TaskPlayers, play_setup
from experiment.errors import InputError, command
from experiment.runs import Run, check_task
from experiment.stages import SCRIPTS
from rnn.series import shard_paths
from rollouts.collecting import collect_all
from rollouts.farm import Farm

if TYPE_CHECKING:
    from controller.policy_spec import PolicyShape
    from controller.task import Task


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = cli.parser(__doc__, preset=False, seed_help="seed of the new run (default: one more than the old run's)")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the new run's folder")
    which = "who plays, a folder in controller/ (default: the only one there, or the task's usual one)"
    parser.add_argument("--controller", metavar="NAME", help=which)
    return parser.parse_args()


def main() -> None:
    """Parse, begin or continue the new run, and collect the agent's episodes on all ranks."""
    arguments = parse()
    comm = cli.communicator()
    with cli.ending_well(comm):
        task = cli.task(arguments.task)
        if cli.rank():
            return cli.serve(comm, task)
        old = old_run(arguments, task)
        folder = find_controller(old.path, arguments.controller, task.usual_controller)
        shape, weights = load_controller(folder, "best")
        new = plan_iteration(old, *new_run(arguments, old, folder))
        players = who_plays(new.stages.iterate, folder, weights)
        setup = iteration_setup(old, new, shape, folder)
        length = usual_length(old, folder.name, setup.env.time_limit)
        open_iteration(old, new, signature(old, folder, weights), folder)  # what can refuse has done so
        with Farm(TaskPlayers(task, setup), comm, setup) as farm:
            following = "train_vae.py" if vae_goes_on(new.path) else "encode_series.py"
            collect_all(new, players, length, farm, task.frame_bytes, following)
    return None


def iteration_setup(old: Run, new: Run, shape: PolicyShape, controller: Path) -> Setup:
    """Return what the ranks play with: the agent in a folder of the old run in the new run's environment."""
    cli.load_tensorflow()
    return play_setup(
        old,
        {"real"},
        shape,
        old.stages.controller.temperature,
        env=new.stages.env,
        games_per_rank=new.stages.evaluate.games_per_rank,
        minimum_length=new.stages.collect.minimum_length,
        noise=new.stages.iterate.explore_noise,
        controller=controller,
    )


def old_run(arguments: argparse.Namespace, task: Task) -> Run:
    """Return the run that an iteration starts from; InputError where it is not finished, or only a release of one."""
    old = cli.open_existing(arguments.run)
    check_task(arguments.run, task.name)
    cli.need_models(old)
    series = old.folder("series")
    if not shard_paths(series):
        scripts = (command(f"scripts/{SCRIPTS[s]}", task.name, "--run", old.path) for s in ("collect", "series"))
        again = f"run {' and '.join(scripts)} in a copy of it"
        raise InputError(f"{series}: none in it (a release holds none); {again}")
    return old


def new_run(arguments: argparse.Namespace, old: Run, controller: Path) -> tuple[Run, set[str]]:
    """Return the new run as wanted, and what --set said: the old settings as `iterate`, then --set, change them.

    Those of C are what the playing controller was trained with. A setting of `iterate` that --set changes counts for
    this run already.
    """
    said = [word for word in arguments.overrides if word.startswith("iterate.")]
    inherited = replace(old.stages, controller=training_config(controller, old.stages.controller))
    stages, _ = cli.overridden(inherited, said)
    stages, explicit = cli.overridden(following_stages(stages), arguments.overrides)
    if arguments.seed is None:
        return Run(arguments.to, old.task, old.preset, old.seed + 1, stages), explicit
    return Run(arguments.to, old.task, old.preset, arguments.seed, stages), explicit | {"seed"}


def usual_length(old: Run, controller: str, longest: int) -> int:
    """Return the steps that a controller's real episode lasts, for the disk forecast: as evaluated, or the longest."""
    found = [e for e in evaluations_of(old) if e.world == "real" and e.controller == controller]
    return round(max(sum(e.lengths) / len(e.lengths) for e in found)) if found else longest


if __name__ == "__main__":
    main()
