"""Every stage in order, from random play to the table of results.

    python scripts/reproduce.py doomrnn --preset quick --run runs/demo
    python scripts/reproduce.py doomrnn --preset paper --run runs/paper --ranks 2 --seeds 3
    python scripts/reproduce.py pendulum --preset release --run runs/pendulum --iterations 20 --seeds 3 --ranks 1

With --iterations, the paper's iterative procedure: the agent acts, V and M learn from what it saw too, C is trained
again in the new dream, and so on; then a table and figures by iteration. With --ranks 1 all stages run in one process
with one thread, and all seeds at once, which suits a small task; a large one takes its seeds one after the other.

Stages that are finished are passed over, so the same command goes on where it was stopped.
"""

import time

import cli
from launch import Launcher

SEED = "7"  # of the games in the tables; training and validation use streams of other purposes


def parse():
    """The arguments."""
    parser = cli.parser(__doc__)
    ranks = "MPI ranks (default: one a core; half as many again collect where a game has an engine of its own)"
    parser.add_argument("--ranks", type=cli.positive, help=ranks)
    parser.add_argument("--seeds", type=cli.positive, default=1, help="controllers, with seeds 0 to K-1 (default 1)")
    parser.add_argument("--temperature", type=cli.temperature, help="of the dream (default: controller.temperature)")
    parser.add_argument("--iterations", type=cli.positive, metavar="K", help="of the iterative procedure, in all")
    parser.add_argument("--no_report", action="store_true", help="with --iterations: no table and figures at the end")
    return parser.parse_args()


def main() -> None:
    """Parse and run the stages."""
    arguments = parse()
    with cli.ending_well():
        if arguments.iterations:
            from procedure import iterate

            iterate(arguments)
            return
        run, task = cli.resolve(arguments), cli.task(arguments.task)
        launcher = Launcher(run, task, arguments.ranks)
        started = time.monotonic()
        temperature = arguments.temperature or run.stages.controller.temperature
        names = stages(launcher, run, task, temperature, arguments.seeds)
        report(run, task, names, temperature)
        print(f"everything took {(time.monotonic() - started) / 60:.1f} minutes on {launcher.ranks} ranks")


def stages(launcher, run, task, temperature: float, seeds: int) -> list[str]:
    """Run every stage; returns the names of the controllers."""
    config = run.stages.evaluate
    launcher.ranked("collect_rollouts.py", ranks=launcher.collectors)
    launcher.alone("train_vae.py")
    launcher.alone("encode_series.py")
    launcher.alone("train_rnn.py")
    if task.world == "dream":
        probes = ["--policy", *task.policies, "--seed", SEED, "--temperature", str(temperature)]
        launcher.ranked("evaluate.py", *probes, "--world", "real", "dream", "--episodes", str(config.probe_episodes))
        print("\nThe dream, probed before C is trained in it: scripted policies in both worlds\n")
        print_table(run, task, [], temperature)
    variants = task.presets[run.preset].variants
    names = [controller(launcher, run, task, v, temperature, seed) for v in variants for seed in range(seeds)]
    launcher.ranked("evaluate.py", "--policy", *task.baselines, "--seed", SEED, "--episodes", str(config.episodes))
    return names


def controller(launcher, run, task, variant: str, temperature: float, seed: int) -> str:
    """Train one controller and evaluate it; returns its name."""
    from controller.task import controller_name

    config, name = run.stages.evaluate, controller_name(task.world, variant, temperature, seed)
    tau = ["--temperature", str(temperature)]
    launcher.ranked("train_controller.py", "--variant", variant, "--seed", str(seed), *tau)
    agent = ["--controller", name, "--seed", SEED]
    launcher.ranked("evaluate.py", *agent, "--world", "real", "--episodes", str(config.episodes))
    if task.world == "dream":
        launcher.ranked("evaluate.py", *agent, "--world", "dream", "--episodes", str(config.dream_episodes))
    return name


def print_table(run, task, controllers: list[str], temperature: float) -> None:
    """Agents and scripted policies, in the dream (where C is trained there) and in the real game, and the paper's."""
    from controller.evaluation import row, table

    dream, real = evaluations(run, "dream", temperature), evaluations(run, "real", None)
    rows = [
        (who, row(dream[who]) if who in dream else "", row(real[who]) if who in real else "")
        for who in [*controllers, *(task.script(name, None).label for name in task.policies)]
    ]
    published = task.published if controllers else []
    heads = ("policy", f"dream, tau {temperature:.2f}", "real task")
    shown = (0, 1, 2) if task.world == "dream" else (0, 2)
    cells = [tuple(line[n] for n in shown) for line in [heads, *rows, *published] if any(line[1:])]
    print(table(cells[1:], cells[0]))
    print(f"mean ± std of the {task.score} [95 % interval of the mean] (episodes)\n", flush=True)


def evaluations(run, world: str, temperature):
    """The evaluations of the tables by who played, the largest of each."""
    from controller.evaluation import evaluations_of

    fitting = [e for e in evaluations_of(run) if (e.world, e.seed, e.temperature) == (world, int(SEED), temperature)]
    return {e.who: e for e in sorted(fitting, key=lambda e: e.episodes)}


def report(run, task, controllers: list[str], temperature: float) -> None:
    """The table, and how surely each agent beats each baseline."""
    from controller.statistics import welch_p

    print(f"\n{task.name}, preset {run.preset}: {task.score}\n")
    print_table(run, task, controllers, temperature)
    real = evaluations(run, "real", None)
    for name in controllers:
        for other in (task.script(name, None).label for name in task.baselines):
            p = welch_p(real[name].scores, real[other].scores)
            verb = "beats" if real[name].mean > real[other].mean else "does not beat"
            print(
                f"{name} {verb} {other} in the real task: {real[name].mean:.0f} to {real[other].mean:.0f}, "
                f"Welch's p = {p:.2g}"
            )
    for line in spreads(controllers, {name: real[name].mean for name in controllers}):
        print(line)


def spreads(controllers: list[str], means: dict[str, float]) -> list[str]:
    """A line for each controller that was trained from several seeds: the mean and spread of its means."""
    from controller.statistics import over_seeds

    families: dict[str, list[float]] = {}
    for name in controllers:
        families.setdefault(name.rpartition("-s")[0], []).append(means[name])
    return [f"{family}: {over_seeds(found)}" for family, found in families.items() if len(found) > 1]


if __name__ == "__main__":
    main()
