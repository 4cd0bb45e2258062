"""Train C with CMA-ES, in the dream or in the real task, on any number of MPI ranks.

mpirun -n 2 python -m mpi4py scripts/train_controller.py doomrnn --run runs/demo
mpirun -n 2 python -m mpi4py scripts/train_controller.py doomrnn --run runs/demo --temperature 0.1
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import cli

cli.one_thread_a_rank()

import numpy as np

from controller.checkpoints import ADVICE, SETTINGS, load_controller
from controller.config import VARIANTS, WORLDS, ControllerConfig, World
from controller.iteration import is_iteration, previous
from controller.policy_spec import PolicyShape
from controller.task import Task, controller_name
from controller.workers import Setup, TaskPlayers, play_setup
from experiment.errors import InputError, command
from experiment.files import read_sealed
from experiment.planning import refuse_other
from experiment.runs import Run, save_run
from experiment.stage_folder import finish, finished, is_begun, working
from experiment.stages import DIGESTS_KEY, NETWORKS, first_frames_digest, network_digests, refuse_other_networks
from rollouts.farm import Farm

# settings that a controller already begun may change: when its search ends, speed (for one that moves to another type
# of CPU), and a default it does not go by
ENDS = ("controller.generations", "controller.max_steps", "controller.patience")
FREE = (*ENDS, "controller.batch_size", "controller.precision", "controller.temperature")
CHECKED = tuple(f"{DIGESTS_KEY}.{network}" for network in NETWORKS["controller"])  # by `refuse_other_networks`
UNREAD: dict[World, tuple[str, ...]] = {"dream": (), "real": ("temperature",)}  # labels that say nothing in a world


@dataclass(frozen=True)
class Training:
    """The controller to train; temperature: of the dream it is trained in, or its default; start: the first mean."""

    folder: Path
    shape: PolicyShape
    world: World
    seed: int
    temperature: float
    start: np.ndarray | None

    def settings(self, run: Run) -> ControllerConfig:
        """Return the run's settings of C at the temperature of this search."""
        return replace(run.stages.controller, temperature=self.temperature)


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = cli.parser(__doc__, seed_help="seed of CMA-ES and its rollouts (default 0)")
    parser.add_argument("--variant", choices=VARIANTS, help="what C sees (default: the task's)")
    parser.add_argument("--world", choices=WORLDS, help="where C is trained (default: the task's)")
    parser.add_argument("--scratch", action="store_true", help="start at 0, whatever iterate.keep_mean is")
    parser.add_argument("--temperature", type=cli.temperature, help="of the dream (default: controller.temperature)")
    arguments = parser.parse_args()
    arguments.world = arguments.world or cli.task(arguments.task).world
    parser.refuse_temperature_of_no_dream(arguments)
    return arguments


def main() -> None:
    """Parse, train on all ranks, report on rank 0."""
    arguments = parse()
    comm = cli.communicator()
    with cli.ending_well(comm):
        task = cli.task(arguments.task)
        if cli.rank():
            return cli.serve(comm, task)
        run = cli.resolve(arguments, own_seed=True)
        training = prepare(arguments, task, run)
        setup = training_setup(training, run)
        with Farm(TaskPlayers(task, setup), comm, setup) as farm:
            train(training, farm, run)
    return None


def prepare(arguments: argparse.Namespace, task: Task, run: Run) -> Training:
    """Return what the arguments ask for; InputError where V or M is missing, or M's dream has nothing to learn."""
    world, variant = arguments.world, arguments.variant or task.variant
    stages, seed = run.stages, arguments.seed or 0
    cli.refuse_validation(arguments.overrides, world)
    temperature = arguments.temperature or stages.controller.temperature
    cli.need_models(run)
    if world == "dream":
        cli.need_done_or_reward_head(run)
    shape = task.policy_shape(variant, stages.vae.z_size, stages.rnn.hidden_size, stages.controller.hidden_size)
    folder = run.path / "controller" / controller_name(world, variant, temperature, seed)
    start = None if arguments.scratch else first_mean(run, shape)
    return Training(folder, shape, world, seed, temperature, start)


def first_mean(run: Run, shape: PolicyShape) -> np.ndarray | None:
    """Return the weights that CMA-ES starts from: those of the agent of the iteration before, or None for 0."""
    if not is_iteration(run.path) or not run.stages.iterate.keep_mean:
        return None
    old, weights = load_controller(previous(run.path, "controller"), "best")
    if (old.variant, old.size) == (shape.variant, shape.size):
        return weights
    print(f"C starts from 0: the agent of the iteration before is a {old.variant} of {old.size:,} weights", flush=True)
    return None


def training_setup(training: Training, run: Run) -> Setup:
    """Return what the ranks play with: rollouts in the world of the training end at controller.time_limit."""
    env, config, world = run.stages.env, training.settings(run), training.world
    limit = min(env.time_limit, config.time_limit)
    worlds: set[World] = {world, "real"} if config.validates else {world}
    cli.load_tensorflow()
    return play_setup(
        run,
        worlds,
        training.shape,
        training.temperature,
        env=env if world == "dream" else replace(env, time_limit=limit),
        dream_limit=limit,
    )


def train(training: Training, farm: Farm, run: Run) -> None:
    """Train under the folder's lock, and say what to do next; rank 0 only."""
    from controller.training import ControllerTrainer, search_is_over

    folder, config = training.folder, training.settings(run)
    labels = {"world": training.world, "seed": training.seed, "temperature": training.temperature}
    record = {SETTINGS: vars(run.stages.controller), **labels}
    record |= {} if training.start is None else {"start": "the agent of the iteration before"}
    refuse_imported(folder)
    refuse_other_networks(run.path, folder, f"delete {folder} and run the same command again")
    free = (*FREE, *CHECKED, *UNREAD[training.world], "first_frames")  # those of a dream here:
    refuse_other(folder, record, free, {SETTINGS: type(config)})
    record |= first_frames(run, folder) if training.world == "dream" else {}
    summary = finished(folder)
    if summary is None or not search_is_over(folder, config, summary["generations"]):
        with working(folder, record | network_digests(run.path, "controller"), run):
            (folder / "done.json").unlink(missing_ok=True)  # of a shorter search: this one is not finished until it is
            who = training.shape, training.world, training.seed, training.start
            summary = ControllerTrainer(folder, farm, config, *who).run()
            finish(folder, summary)
    else:
        save_run(run)
        print(f"{folder}: already finished; nothing to do")
    best = f"best mean {summary['best_score']:.1f} at generation {summary['best_generation']}"
    print(f"C: {summary['generations']:,} generations, {best}; wrote {folder}")
    script = ("mpirun", "-n", 2, "python", "-m", "mpi4py", "scripts/evaluate.py", run.task, "--run", run.path)
    print("next:", command(*script, "--controller", folder.name, "--world", "real", "--episodes", 100, "--seed", 7))


def first_frames(run: Run, folder: Path) -> dict[str, str]:
    """Return what the record of a search tells of the first frames that its dreams start from.

    Raises InputError where the search was begun with others; older records tell of none.
    """
    found = {"first_frames": first_frames_digest(run.path)}
    begun = read_sealed(folder / "begun.json", ADVICE) if is_begun(folder) else {}
    if begun.get("first_frames", found["first_frames"]) != found["first_frames"]:
        what = f"its dreams started from other first frames than {run.folder('series')} holds now"
        advice = f"put back the series it was begun with, or delete {folder} and run the same command again"
        raise InputError(f"{folder}: {what}; {advice}")
    return found


def refuse_imported(folder: Path) -> None:
    """Raise InputError where a folder holds imported weights: they come without the search that found them."""
    if is_begun(folder) and SETTINGS not in read_sealed(folder / "begun.json", ADVICE):
        raise InputError(f"{folder}: imported, so that no search can go on from it; use another --seed")


if __name__ == "__main__":
    main()
