"""Train C with CMA-ES, in the dream or in the real task, on any number of MPI ranks.

mpirun -n 2 python -m mpi4py scripts/train_controller.py doomrnn --run runs/demo
mpirun -n 2 python -m mpi4py scripts/train_controller.py doomrnn --run runs/demo --temperature 0.1
"""

from dataclasses import replace

import cli

cli.one_thread_a_rank()

# settings that a controller already begun may change: more generations, speed, and a default it does not go by
FREE = ("controller.generations", "controller.batch_size", "controller.temperature")


def parse():
    """The arguments."""
    parser = cli.parser(__doc__, seed_help="seed of CMA-ES and its rollouts (default 0)")
    parser.add_argument("--variant", choices=("zh", "z", "z_hidden", "zch"), help="what C sees (default: the task's)")
    parser.add_argument("--world", choices=("dream", "real"), help="where C is trained (default: the task's)")
    parser.add_argument("--temperature", type=cli.temperature, help="of the dream (default: controller.temperature)")
    return parser.parse_args()


def main() -> None:
    """Parse, train on all ranks, report on rank 0."""
    arguments = parse()
    comm = cli.world()
    with cli.ending_well(comm):
        task = cli.task(arguments.task)
        run = cli.resolve(arguments, own_seed=True) if cli.rank() == 0 else None
        cli.on_farm(comm, task, lambda: prepare(arguments, task, run), lambda job, farm: train(job, farm, task, run))


def prepare(arguments, task, run):
    """(setup of the ranks, everything the training needs); rank 0 only."""
    from controller.task import controller_name
    from controller.workers import play_setup

    world, variant = arguments.world or task.world, arguments.variant or task.variant
    config, seed = run.stages.controller, arguments.seed or 0
    temperature = arguments.temperature or config.temperature
    cli.need_models(run)
    shape = task.policy_shape(variant, run.stages.vae.z_size, run.stages.rnn.hidden_size, config.hidden_size)
    if world == "dream":
        cli.need_telling_dream(run)
    cli.load_tensorflow()
    worlds = {world, "real"} if config.validation_games else {world}
    setup = play_setup(run, worlds, True, temperature, shape)
    limit = min(setup.env.time_limit, config.time_limit)
    if world == "dream":
        setup = replace(setup, time_limit=limit)
    else:
        setup = replace(setup, env=replace(setup.env, time_limit=limit))
    folder = run.path / "controller" / controller_name(world, variant, temperature, seed)
    return setup, {"folder": folder, "shape": shape, "world": world, "seed": seed, "temperature": temperature}


def train(job, farm, task, run) -> None:
    """Train under the folder's lock, and say what to do next; rank 0 only."""
    from controller.training import ControllerTrainer
    from experiment.errors import command
    from experiment.runs import finish, finished, refuse_other, working

    folder, config = job["folder"], run.stages.controller
    record = {"controller": vars(config), **{key: job[key] for key in ("world", "seed", "temperature")}}
    refuse_other(folder, record, FREE, {"controller": type(config)})
    summary = finished(folder)
    if summary is None or summary["generations"] < config.generations:
        with working(folder, record):
            trainer = ControllerTrainer(folder, farm, config, job["shape"], job["world"], job["seed"])
            summary = trainer.run()
            finish(folder, summary)
    else:
        print(f"{folder}: already finished; nothing to do")
    print(f"C: best mean {summary['best_score']:.1f} at generation {summary['best_generation']}; wrote {folder}")
    script = ("mpirun", "-n", 2, "python", "-m", "mpi4py", "scripts/evaluate.py", task.name, "--run", run.path)
    print("next:", command(*script, "--controller", folder.name, "--world", "real", "--episodes", 100, "--seed", 7))


if __name__ == "__main__":
    main()
