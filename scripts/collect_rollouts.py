"""Collect episodes of the collecting policy from the real game.

python scripts/collect_rollouts.py doomrnn --run runs/demo --preset quick
mpirun -n 2 python -m mpi4py scripts/collect_rollouts.py doomrnn --run runs/demo --preset quick
"""

import functools

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
            lambda config, farm: collect_all(
                run, task.collector(config), task.episode_length(run.stages["env"]), farm, task, "train_vae.py"
            ),
            tensorflow=False,
        )


def prepare(run):
    """(setup of the ranks, settings); rank 0 only."""
    from controller.cast import Setup
    from controller.turns import is_turn
    from vae.errors import InputError
    from vae.runs import finished

    if is_turn(run.path) and finished(run.folder("collect")) is None:
        raise InputError(f"{run.path}: its games are an agent's; go on with scripts/iterate.py --to {run.path}")
    config = run.stages["collect"]
    return Setup(run.stages["env"], config.games_per_rank, config.minimum_length), config


def collect_all(run, policy, length: int, farm, task, following: str) -> None:
    """Collect games of a policy under the folder's lock; rank 0 only.

    length: of a game in steps, for the forecast of the disk. following: the script to run next.
    """
    from controller.collecting import check_disk, collect
    from vae.runs import finished

    folder, config = run.folder("collect"), run.stages["collect"]
    if finished(folder) is None:  # before the stage is begun, so that it may still be asked for fewer
        there = len(list(folder.glob("episode-*.npz")))
        needed = check_disk(run.path, max(0, config.episodes - there), task.frame_bytes, length)
        print(f"collect: {config.episodes:,} episodes, about {needed / 1e9:.2f} GB still to write", flush=True)
    produce = functools.partial(collect, farm=farm, config=config, policy=policy, seed=run.seed)
    cli.run_stage(run, "collect", produce, f"python scripts/{following} {task.name} --run {run.path}")


if __name__ == "__main__":
    main()
