"""Take a turn of the paper's iterative procedure: the agent plays, and a new run goes on from what it saw.

    mpirun -n 2 python -m mpi4py scripts/iterate.py doomrnn --run runs/one --to runs/two --set collect.episodes=1000
    python scripts/encode_series.py doomrnn --run runs/two
    python scripts/train_rnn.py doomrnn --run runs/two --set rnn.epochs=2 --set rnn.learning_rate=3e-4
    mpirun -n 2 python -m mpi4py scripts/train_controller.py doomrnn --run runs/two

The agent of --run plays the real task. The run in --to begins with its games, V and the series of all games before
them; its M goes on from the old one's weights, and C is grown anew. --set changes settings of the new run.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import cli

cli.one_thread_a_rank()

import collect_rollouts  # noqa: E402  (after the threads are set)

EARLIER = "series-before-"  # how the names of series begin that come from the run before


def parse():
    """The arguments."""
    parser = cli.parser(__doc__, preset=False, seed_help="seed of the new run (one more than the old one's)")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the new run's folder")
    which = "who plays, a folder in controller/ (default: the only one there, or the task's usual one)"
    parser.add_argument("--controller", metavar="NAME", help=which)
    return parser.parse_args()


def main() -> None:
    """Parse, prepare the new run, and collect the agent's games on all ranks."""
    arguments = parse()
    comm = cli.world()
    with cli.ending_well(comm):
        task = cli.task(arguments.task)
        old, new = opened(arguments, task) if cli.rank() == 0 else (None, None)
        cli.on_farm(
            comm,
            task,
            lambda: prepare(arguments, task, old, new),
            lambda weights, farm: collect_rollouts.collect_all(new, farm, task, weights, "encode_series.py"),
        )


def opened(arguments, task):
    """The old run, and the new one with the old one's settings but for what --set says; rank 0 only."""
    from vae.config import override
    from vae.errors import InputError
    from vae.runs import Run, open_run

    old = cli.open_existing(arguments.run)
    if old.task != task.name:
        raise InputError(f"{arguments.run}: belongs to task {old.task}, not {task.name}")
    for stage, script in (("vae", "train_vae.py"), ("series", "encode_series.py"), ("rnn", "train_rnn.py")):
        cli.need(old, stage, script)
    if not list(old.folder("series").glob("series-*.npz")):
        raise InputError(
            f"{old.folder('series')}: no series in it; a released run holds none, so collect and train anew"
        )
    if arguments.to.resolve() == arguments.run.resolve():
        raise InputError(f"--to {arguments.to}: must be another folder than --run")
    stages = old.stages
    for word in arguments.overrides:
        stages = override(stages, word)
    seed = old.seed + 1 if arguments.seed is None else arguments.seed
    wanted = Run(arguments.to, old.task, old.preset, seed, stages)
    explicit = {word.partition("=")[0] for word in arguments.overrides}
    return old, open_run(arguments.to, wanted, explicit | {"seed"}, preset_given=False)


def prepare(arguments, task, old, new):
    """(setup of the ranks, the agent's weights), with all that the new run takes over in place; rank 0 only."""
    from controller.setup import play_setup
    from controller.training import find_controller, load_controller

    cli.load_tensorflow()
    folder = find_controller(old.path, arguments.controller, task.usual_controller)
    shape, weights = load_controller(folder, "best")
    sign(new.path / collect_rollouts.PLAYED_BY, folder, weights)
    hand_down(old, new)
    setup = play_setup(old, {"real"}, True, old.stages["controller"].temperature, shape)
    return replace(setup, env=new.stages["env"], minimum_length=new.stages["collect"].minimum_length), weights


def sign(file: Path, controller: Path, weights) -> None:
    """Write whose games a run holds, or refuse to add another agent's."""
    from controller.evaluation import digest
    from vae.errors import InputError
    from vae.files import read_sealed, write_sealed

    record = {"controller": controller.name, "weights": digest(weights.tolist())}
    if not file.exists():
        write_sealed(file, record)
    elif {**read_sealed(file), **record} != read_sealed(file):
        raise InputError(
            f"{file}: {controller} was not the agent that began to play, or has changed; name another --to"
        )


def hand_down(old, new) -> None:
    """Give the new run V, the series so far (as links where that is possible), and M's weights to go on from."""
    for path in old.folder("series").glob("series-*.npz"):
        link(path, new.folder("series") / f"{EARLIER}{path.name.removeprefix('series-')}")
    if not new.folder("vae").exists():
        half = new.path / ".vae.tmp"
        shutil.rmtree(half, ignore_errors=True)
        shutil.copytree(old.folder("vae"), half, ignore=shutil.ignore_patterns(".*", "tensorboard"))
        half.rename(new.folder("vae"))
    if not new.folder("rnn").exists():
        begin_rnn(old, new)


def link(path: Path, target: Path) -> None:
    """The same file in another place; a copy where the two are on different disks."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    try:
        os.link(path, target)
    except OSError:
        half = target.with_name(f".{target.name}.tmp")
        shutil.copyfile(path, half)
        half.rename(target)


def begin_rnn(old, new) -> None:
    """A checkpoint before the first update, with the weights of the old M."""
    from rnn.training import RNNTrainer, build_rnn, load_rnn
    from vae.errors import InputError
    from vae.weights import model_arguments, save_checkpoint

    model, config = load_rnn(old.folder("rnn")), new.stages["rnn"]
    fresh = build_rnn(config, model.z_size, model.action_size, new.seed)
    if model_arguments(fresh) != model_arguments(model):
        raise InputError("--set rnn: an M that goes on from another one must have its size, heads and precision")
    save_checkpoint(
        new.folder("rnn"), RNNTrainer(model, config).variables, {"update": 0, "best": float("inf"), "worse": 0}
    )


if __name__ == "__main__":
    main()
