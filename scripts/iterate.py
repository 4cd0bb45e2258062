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
    comm = cli.world()
    with cli.ending_well(comm):
        task = cli.task(arguments.task)
        cli.on_farm(
            comm,
            task,
            lambda: prepare(arguments, task),
            lambda job, farm: collect(*job, farm, task),
        )


def prepare(arguments, task):
    """(setup of the ranks, (the new run, the agent's weights, how long its games are)); rank 0 only."""
    from controller.checkpoints import find_controller, load_controller
    from controller.iteration import open_turn, signature
    from controller.workers import play_setup

    old = old_run(arguments, task)
    folder = find_controller(old.path, arguments.controller, task.usual_controller)
    shape, weights = load_controller(folder, "best")
    wanted, explicit = new_run(arguments, old)
    new = open_turn(old, wanted, explicit, signature(old, folder, weights))
    cli.load_tensorflow()
    env, collect = new.stages.env, new.stages.collect
    setup = play_setup(old, {"real"}, True, old.stages.controller.temperature, shape)
    games = new.stages.evaluate.games_per_rank
    setup = replace(setup, env=env, games_per_rank=games, minimum_length=collect.minimum_length)
    return setup, (new, weights, usual_length(old, folder.name, env.time_limit))


def collect(run, weights, length: int, farm, task) -> None:
    """Collect the agent's games under the folder's lock; rank 0 only."""
    from rollouts.collecting import collect_all

    collect_all(run, weights, length, farm, task.frame_bytes, "encode_series.py")


def old_run(arguments, task):
    """The run that a turn starts from; InputError where it is not finished, or only a release of one."""
    from experiment.errors import InputError

    old = cli.open_existing(arguments.run)
    if old.task != task.name:
        raise InputError(f"{arguments.run}: belongs to task {old.task}, not {task.name}")
    cli.need_models(old)
    series = old.folder("series")
    if not list(series.glob("series-*.npz")):
        raise InputError(f"{series}: no series in it (a release holds none); collect, encode and train in a run anew")
    return old


def new_run(arguments, old):
    """The new run as it is wanted, with the old one's settings but for what --set says, and what was said."""
    from experiment.runs import Run

    stages, explicit = cli.overridden(old.stages, arguments.overrides)
    if arguments.seed is None:
        return Run(arguments.to, old.task, old.preset, old.seed + 1, stages), explicit
    return Run(arguments.to, old.task, old.preset, arguments.seed, stages), explicit | {"seed"}


def usual_length(old, controller: str, longest: int) -> int:
    """Steps that a real game of a controller lasts, for the forecast of the disk: as evaluated, or the longest."""
    from controller.evaluation import evaluations_of

    found = [e for e in evaluations_of(old) if e.world == "real" and e.controller == controller]
    return round(max(sum(e.lengths) / len(e.lengths) for e in found)) if found else longest


if __name__ == "__main__":
    main()
