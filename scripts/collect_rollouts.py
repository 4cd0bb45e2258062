"""Collect episodes of the random policy from the real game.

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
        from controller.cast import Setup, TaskCast
        from controller.collecting import check_disk, collect
        from controller.farm import Farm, guarded, work

        task = cli.task(arguments.task)
        run = cli.resolve(arguments) if cli.rank() == 0 else None

        with guarded(comm):
            if cli.rank() == 0:
                config = run.stages["collect"]
                setup = Setup(run.stages["env"], config.games_per_rank, config.minimum_length)
            setup = comm.bcast(setup if cli.rank() == 0 else None) if comm else setup
            cast = TaskCast(task, setup)
            if cli.rank() != 0:
                return work(cast, comm)
            farm = Farm(cast, comm)

            def produce(folder):
                there = len(list(folder.glob("episode-*.npz")))
                needed = check_disk(folder, max(0, config.episodes - there), task.frame_bytes, task.episode_length)
                print(f"collect: {config.episodes:,} episodes, about {needed / 1e9:.2f} GB still to write", flush=True)
                return collect(folder, farm, config, run.seed)

            try:
                cli.run_stage(run, "collect", produce, f"python scripts/train_vae.py {task.name} --run {run.path}")
            finally:
                farm.close()
    return None


if __name__ == "__main__":
    main()
