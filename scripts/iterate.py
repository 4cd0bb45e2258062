"""Take a turn of the paper's iterative procedure: the agent plays, and a new run goes on from what it saw.

    mpirun -n 2 python -m mpi4py scripts/iterate.py doomrnn --run runs/one --to runs/two --set collect.episodes=1000
    python scripts/encode_series.py doomrnn --run runs/two
    python scripts/train_rnn.py doomrnn --run runs/two --set rnn.epochs=2 --set rnn.learning_rate=3e-4
    mpirun -n 2 python -m mpi4py scripts/train_controller.py doomrnn --run runs/two

The agent of --run plays the real task, evaluate.games_per_rank games at a time. The run in --to begins with its games,
V and the series of all games before them; its M goes on from the old one's weights, and C is grown anew. --set changes
settings of the new run.
"""

from dataclasses import replace
from pathlib import Path

import cli

cli.one_thread_a_rank()

from controller.checkpoints import find_controller, load_controller, training_config
from controller.evaluation import evaluations_of
from controller.iteration import open_iteration, signature
from controller.workers import Setup, TaskPlayers, play_setup
from experiment.errors import InputError
from experiment.runs import Run
from rollouts.collecting import collect_all
from rollouts.farm import Farm


def parse():
    """The arguments."""
    parser = cli.parser(__doc__, preset=False, seed_help="seed of the new run (default: one more than the old run's)")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the new run's folder")
    which = "who plays, a folder in controller/ (default: the only one there, or the task's usual one)"
    parser.add_argument("--controller", metavar="NAME", help=which)
    return parser.parse_args()


def main() -> None:
    """Parse, begin or continue the new run, and collect the agent's games on all ranks."""
    arguments = parse()
    comm = cli.communicator()
    with cli.ending_well(comm):
        task = cli.task(arguments.task)
        if cli.rank():
            return cli.serve(comm, task)
        old = old_run(arguments, task)
        folder = find_controller(old.path, arguments.controller, task.usual_controller)
        shape, weights = load_controller(folder, "best")
        new = open_iteration(old, *new_run(arguments, old, folder), signature(old, folder, weights))
        setup = iteration_setup(old, new, shape)
        length = usual_length(old, folder.name, setup.env.time_limit)
        with Farm(TaskPlayers(task, setup), comm, setup) as farm:
            collect_all(new, weights, length, farm, task.frame_bytes, following="encode_series.py")
    return None


def iteration_setup(old, new, shape) -> Setup:
    """What the ranks play with: the old run's agent in the new run's environment."""
    cli.load_tensorflow()
    return play_setup(
        old,
        {"real"},
        shape,
        old.stages.controller.temperature,
        env=new.stages.env,
        games_per_rank=new.stages.evaluate.games_per_rank,
        minimum_length=new.stages.collect.minimum_length,
    )


def old_run(arguments, task):
    """The run that a turn starts from; InputError where it is not finished, or only a release of one."""
    old = cli.open_existing(arguments.run)
    if old.task != task.name:
        raise InputError(f"{arguments.run}: belongs to task {old.task}, not {task.name}")
    cli.need_models(old)
    series = old.folder("series")
    if not list(series.glob("series-*.npz")):
        raise InputError(f"{series}: no series in it (a release holds none); collect, encode and train in a run anew")
    return old


def new_run(arguments, old, controller: Path):
    """The new run as it is wanted, and what was said with --set.

    Its settings are the old run's and, of C, those that the playing controller was trained with.
    """
    inherited = replace(old.stages, controller=training_config(controller, old.stages.controller))
    stages, explicit = cli.overridden(inherited, arguments.overrides)
    if arguments.seed is None:
        return Run(arguments.to, old.task, old.preset, old.seed + 1, stages), explicit
    return Run(arguments.to, old.task, old.preset, arguments.seed, stages), explicit | {"seed"}


def usual_length(old, controller: str, longest: int) -> int:
    """Steps that a real game of a controller lasts, for the forecast of the disk: as evaluated, or the longest."""
    found = [e for e in evaluations_of(old) if e.world == "real" and e.controller == controller]
    return round(max(sum(e.lengths) / len(e.lengths) for e in found)) if found else longest


if __name__ == "__main__":
    main()
