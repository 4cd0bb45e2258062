"""Collect episodes of the collecting policy from the real environment.

python scripts/collect_rollouts.py doomrnn --run runs/demo --preset quick
mpirun -n 2 python -m mpi4py scripts/collect_rollouts.py doomrnn --run runs/demo --preset quick
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cli

cli.one_thread_a_rank()

from controller.iteration import is_iteration, iterate_command
from controller.workers import Setup, TaskPlayers
from experiment.errors import InputError
from experiment.stage_folder import finished
from rollouts.collecting import collect_all
from rollouts.farm import Farm

if TYPE_CHECKING:
    from experiment.runs import Run


def main() -> None:
    """Parse, collect on all ranks, report on rank 0."""
    arguments = cli.parser(__doc__).parse_args()
    comm = cli.communicator()
    with cli.ending_well(comm):
        task = cli.task(arguments.task)
        if cli.rank():
            return cli.serve(comm, task, tensorflow=False)
        run = cli.resolve(arguments)
        refuse_iteration(run)
        env, collect = run.stages.env, run.stages.collect
        setup = Setup(env, collect.games_per_rank, collect.minimum_length)
        with Farm(TaskPlayers(task, setup), comm, setup) as farm:
            script, length = task.collector(collect), task.episode_length(env)
            collect_all(
                run, lambda attempt: ("record", script), length, farm, task.frame_bytes, following="train_vae.py"
            )
    return None


def refuse_iteration(run: Run) -> None:
    """Raise InputError where the episodes still to be collected are those of another run's agent."""
    if is_iteration(run.path) and finished(run.folder("collect")) is None:
        raise InputError(f"{run.path}: its episodes are an agent's; go on with {iterate_command(run)}")


if __name__ == "__main__":
    main()
