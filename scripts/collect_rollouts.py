"""Collect episodes of the collecting policy from the real game.

python scripts/collect_rollouts.py doomrnn --run runs/demo --preset quick
mpirun -n 2 python -m mpi4py scripts/collect_rollouts.py doomrnn --run runs/demo --preset quick
"""

import cli

cli.one_thread_a_rank()


def main() -> None:
    """Parse, collect on all ranks, report on rank 0."""
    arguments = cli.parser(__doc__).parse_args()
    comm = cli.world()
    with cli.ending_well(comm):
        task = cli.task(arguments.task)
        run = cli.resolve(arguments) if cli.rank() == 0 else None
        cli.on_farm(
            comm,
            task,
            lambda: prepare(run),
            lambda config, farm: collect(config, farm, task, run),
            tensorflow=False,
        )


def prepare(run):
    """(setup of the ranks, settings); rank 0 only."""
    from controller.iteration import is_turn
    from controller.workers import Setup
    from experiment.errors import InputError, command
    from experiment.runs import finished

    if is_turn(run.path) and finished(run.folder("collect")) is None:
        following = command("scripts/iterate.py", "--to", run.path)
        raise InputError(f"{run.path}: its games are an agent's; go on with {following}")
    config = run.stages.collect
    return Setup(run.stages.env, config.games_per_rank, config.minimum_length), config


def collect(config, farm, task, run) -> None:
    """Collect under the folder's lock; rank 0 only."""
    from rollouts.collecting import collect_all

    length = task.episode_length(run.stages.env)
    collect_all(run, task.collector(config), length, farm, task.frame_bytes, "train_vae.py")


if __name__ == "__main__":
    main()
