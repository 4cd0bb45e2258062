"""Evaluate an agent or a scripted policy in the real game or in the dream.

    mpirun -n 2 python -m mpi4py scripts/evaluate.py doomrnn --run runs/demo --world real --episodes 100 --seed 7
    python scripts/evaluate.py doomrnn --run runs/demo --policy sweep --period 120 --world dream --temperature 1.15

Several policies or worlds may be named; each pair is evaluated and written to evaluation/*.json.
"""

import cli

from experiment.stages import need

cli.one_thread_a_rank()


def parse():
    """The arguments."""
    parser = cli.parser(__doc__, preset=False, seed_help="seed of the games; none was ever trained on (default 0)")
    which = "a folder in controller/ (default: the only one there, or the task's usual one)"
    parser.add_argument("--controller", metavar="NAME", help=which)
    parser.add_argument("--checkpoint", choices=("best", "last"), default="best", help="which weights (default best)")
    parser.add_argument("--world", nargs="+", choices=("dream", "real"), default=["real"], help="where to play (real)")
    parser.add_argument("--temperature", type=cli.temperature, help="of the dream (default: the controller's)")
    parser.add_argument(
        "--policy",
        nargs="+",
        default=["agent"],
        metavar="POLICY",
        help="agent, or a scripted policy of the task (default agent): "
        + "; ".join(f"{name}: {', '.join(cli.task(name).policies)}" for name in cli.TASKS),
    )
    parser.add_argument("--period", type=cli.positive, help="steps a sweep holds each side (default 120)")
    parser.add_argument("--episodes", type=cli.positive, help="games or dreams of each pair (evaluate.episodes)")
    arguments = parser.parse_args()
    for policy in arguments.policy:
        if policy not in ("agent", *(known := cli.task(arguments.task).policies)):
            parser.error(f"argument --policy: {policy} is not one of agent, {', '.join(known)}")
    return arguments


def main() -> None:
    """Parse, evaluate on all ranks, report on rank 0."""
    arguments = parse()
    comm = cli.world()
    with cli.ending_well(comm):
        task = cli.task(arguments.task)
        run = cli.resolve(arguments, own_seed=True) if cli.rank() == 0 else None
        cli.on_farm(
            comm,
            task,
            lambda: prepare(arguments, run),
            lambda job, farm: evaluate_all(arguments, job, farm, task, run),
            tensorflow="agent" in arguments.policy or "dream" in arguments.world,
        )


def prepare(arguments, run):
    """(setup of the ranks, the controller to evaluate); rank 0 only."""
    from controller.checkpoints import find_controller, load_controller
    from controller.workers import play_setup

    if "dream" in arguments.world:
        cli.need_telling_dream(run)
    name = shape = weights = None
    if "agent" in arguments.policy:
        folder = find_controller(run.path, arguments.controller, cli.task(run.task).usual_controller)
        name = folder.name
        shape, weights = load_controller(folder, arguments.checkpoint)
    temperature = arguments.temperature or cli.controller_temperature(run, name)
    if "dream" in arguments.world or name:
        need(run, "rnn", "train_rnn.py")
        cli.load_tensorflow()
    learned = "agent" in arguments.policy
    setup = play_setup(run, set(arguments.world), learned, temperature, shape)
    return setup, {"name": name, "weights": weights, "temperature": temperature}


def evaluate_all(arguments, job, farm, task, run) -> None:
    """Every (policy, world), all policies of a world side by side, passing over what is there; rank 0 only."""
    from controller.evaluation import load_evaluations, play, row, save_evaluation, summarise

    config, folder = run.stages.evaluate, run.path / "evaluation"
    there = {evaluation.made_with: evaluation for evaluation in load_evaluations(folder)}
    for world in arguments.world:
        todo = []
        for policy in arguments.policy:
            known = labels(arguments, job, task, run, world, policy)
            if known["made_with"] in there:
                print(f"{policy} in the {world}: {row(there[known['made_with']])}; evaluated before, nothing to do")
            else:
                todo.append((job["weights"] if policy == "agent" else task.script(policy, arguments.period), known))
        players = [player for player, _ in todo]
        episodes, seed = arguments.episodes or config.episodes, arguments.seed or 0
        for (player, known), outcomes in zip(todo, play(farm, world, players, episodes, seed), strict=True):
            evaluation = summarise(outcomes, player, **known)
            path = save_evaluation(folder, evaluation)
            print(f"{known['policy']} in the {world}: {row(evaluation)}; wrote {path}", flush=True)


def labels(arguments, job, task, run, world, policy):
    """What is recorded of an evaluation beside its scores."""
    from controller.evaluation import config_sha256, digest
    from experiment.provenance import commit

    agent, config = policy == "agent", run.stages.evaluate
    temperature = job["temperature"] if world == "dream" else None
    period = None if agent else task.script(policy, arguments.period).period
    episodes, seed = arguments.episodes or config.episodes, arguments.seed or 0
    weights = job["weights"].tolist() if agent else None
    models = [str(finished_at(run, stage)) for stage in ("vae", "rnn")] if agent or world == "dream" else None
    precision = run.stages.controller.precision if models else "float32"
    decisive = [run.task, world, policy, temperature, period, episodes, seed, weights, models, vars(run.stages.env)]
    decisive += [precision] if precision != "float32" else []
    return {
        "task": run.task,
        "world": world,
        "policy": policy,
        "controller": job["name"] if agent else None,
        "checkpoint": arguments.checkpoint if agent else None,
        "temperature": temperature,
        "seed": seed,
        "config_sha256": config_sha256(run.stages),
        "commit": commit(),
        "made_with": digest(decisive),
        "precision": precision,
    }


def finished_at(run, stage):
    """The summary of a finished stage, which differs whenever it was made anew."""
    from experiment.runs import finished

    return finished(run.folder(stage))


if __name__ == "__main__":
    main()
