"""Every stage in order, from random play to the table of results.

    python scripts/reproduce.py doomrnn --preset quick --run runs/demo
    python scripts/reproduce.py doomrnn --preset paper --run runs/paper --ranks 2 --seeds 3

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
    return parser.parse_args()


def main() -> None:
    """Parse and run the stages."""
    arguments = parse()
    with cli.ending_well():
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
        probes = ["--policy", *task.policies, "collector", "--seed", SEED, "--temperature", str(temperature)]
        launcher.ranked("evaluate.py", *probes, "--world", "real", "dream", "--episodes", str(config.probe_episodes))
        print("\nThe dream, probed before C is trained in it: scripted policies in both worlds\n")
        print_table(run, task, [], temperature)
        print_survival(run, scripts(run, task), temperature)
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
        for who in [*controllers, *scripts(run, task)]
    ]
    published = task.published if controllers else []
    heads = ("policy", f"dream, tau {temperature:.2f}", "real task")
    shown = (0, 1, 2) if task.world == "dream" else (0, 2)
    cells = [tuple(line[n] for n in shown) for line in [heads, *rows, *published] if any(line[1:])]
    print(table(cells[1:], cells[0]))
    print(f"mean ± std of the {task.score} [95 % interval of the mean] (episodes)\n", flush=True)


def scripts(run, task) -> list[str]:
    """The labels of the task's scripted policies, the one that collected this run's episodes included."""
    labels = [task.script(name, None).label for name in task.policies]
    return list(dict.fromkeys([*labels, task.collector(run.stages.collect).label]))


def print_survival(run, names: list[str], temperature: float) -> None:
    """Deaths per 100 steps by window in both worlds, and a warning where the dream's are not the real task's.

    Only of tasks whose return is the number of steps survived.
    """
    from reporting import survival

    from controller.evaluation import table

    dream, real = evaluations(run, "dream", temperature), evaluations(run, "real", None)
    lengths = {
        who: tuple(found[who].lengths if who in found else [] for found in (dream, real))
        for who in names
        if all(found[who].scores == found[who].lengths for found in (dream, real) if who in found)
    }
    if not any(map(any, lengths.values())):
        return
    heads, *rows = survival.hazard_rows(lengths, run.stages.env.time_limit)
    print(table(rows, heads))
    print("\n".join([*survival.warnings(lengths, run.stages.env.time_limit), ""]), flush=True)


def evaluations(run, world: str, temperature):
    """The evaluations of the tables by who played, the largest of each."""
    from controller.evaluation import evaluations_of

    fitting = [e for e in evaluations_of(run) if (e.world, e.seed, e.temperature) == (world, int(SEED), temperature)]
    return {e.who: e for e in sorted(fitting, key=lambda e: e.episodes)}


def report(run, task, controllers: list[str], temperature: float) -> None:
    """The table, and which baselines each agent is shown to beat."""
    print(f"\n{task.name}, preset {run.preset}: {task.score}\n")
    print_table(run, task, controllers, temperature)
    if task.world == "dream":
        print_survival(run, controllers, temperature)
    real = evaluations(run, "real", None)
    pairs = [(name, task.script(other, None).label) for name in controllers for other in task.baselines]
    for line in comparisons([(real[name], real[other]) for name, other in pairs]):
        print(line)
    for line in spreads(controllers, {name: real[name].mean for name in controllers}):
        print(line)


def comparisons(pairs) -> list[str]:
    """A line for each pair of evaluations (agent, baseline) in the real task: "beats" only where it is shown.

    All lines are corrected together (Holm, 5 %); the same games are paired.
    """
    from controller.statistics import Sample, difference
    from controller.verdicts import REFUTED, SHOWN, Between, decide, enough, p_words

    samples = [[Sample.pooled([(e.seed, e.scores)]) for e in pair] for pair in pairs]
    verdicts, _ = decide([Between(difference(a, b), low=0.0) for a, b in samples])
    verbs = {SHOWN: "beats", REFUTED: "is beaten by"}
    lines = []
    for (agent, other), (a, b), verdict in zip(pairs, samples, verdicts, strict=True):
        short = enough(len(a), len(b))
        verb = "is not shown to beat" if short else verbs.get(verdict.outcome, "is not shown to beat")
        why = f"; {short or verdict.further}" if short or verdict.further else ""
        figures = f"{agent.mean:.0f} to {other.mean:.0f}, {p_words(verdict.p)}{why}"
        lines.append(f"{agent.who} {verb} {other.who} in the real task: {figures}")
    return lines


def spreads(controllers: list[str], means: dict[str, float]) -> list[str]:
    """A line for each controller that was trained from several seeds: the mean and spread of its means."""
    from controller.statistics import over_seeds

    families: dict[str, list[float]] = {}
    for name in controllers:
        families.setdefault(name.rpartition("-s")[0], []).append(means[name])
    return [f"{family}: {over_seeds(found)}" for family, found in families.items() if len(found) > 1]


if __name__ == "__main__":
    main()
