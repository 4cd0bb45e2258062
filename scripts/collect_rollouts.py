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
            lambda config, farm: collect_all(config, farm, task, run),
            tensorflow=False,
        )


def prepare(run):
    """(setup of the ranks, settings); rank 0 only."""
    from controller.cast import Setup

    config = run.stages["collect"]
    return Setup(run.stages["env"], config.games_per_rank, config.minimum_length), config


def collect_all(config, farm, task, run) -> None:
    """Collect under the folder's lock; rank 0 only."""
    from controller.collecting import check_disk, collect
    from vae.runs import finished

    folder = run.folder("collect")
    if finished(folder) is None:  # before the stage is begun, so that it may still be asked for fewer
        there = len(list(folder.glob("episode-*.npz")))
        needed = check_disk(
            run.path, max(0, config.episodes - there), task.frame_bytes, task.episode_length(run.stages["env"])
        )
        print(f"collect: {config.episodes:,} episodes, about {needed / 1e9:.2f} GB still to write", flush=True)
    following = f"python scripts/train_vae.py {task.name} --run {run.path}"
    script = task.collector(config)
    cli.run_stage(run, "collect", lambda folder: collect(folder, farm, config, script, run.seed), following)


if __name__ == "__main__":
    main()
