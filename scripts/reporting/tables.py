"""The tables that `reproduce.py` prints, and how surely each agent beats each baseline."""

from controller.config import World
from controller.evaluation import Evaluation, evaluations_of, row, table
from controller.task import Task, temperature_text
from experiment.runs import Run

SEED = 7  # of the evaluations in the tables; training and validation use streams of other purposes


def print_table(run: Run, task: Task, controllers: list[str], temperature: float) -> None:
    """Print the scores of agents and scripted policies, in the dream if C is trained in it, and the paper's."""
    dream, real = evaluations(run, "dream", temperature), evaluations(run, "real", None)
    rows = [
        (who, row(dream[who]) if who in dream else "", row(real[who]) if who in real else "")
        for who in [*controllers, *(task.script(name, None).label for name in task.policies)]
    ]
    published = task.published if controllers else []
    heads = ("policy", f"dream, tau {temperature_text(temperature)}", "real task")
    shown = (0, 1, 2) if task.world == "dream" else (0, 2)
    cells = [tuple(line[n] for n in shown) for line in [heads, *rows, *published] if any(line[1:])]
    print(table(cells[1:], cells[0]))
    print(f"mean ± std of the {task.score} [95 % interval of the mean] (episodes)\n", flush=True)


def print_results(run: Run, task: Task, controllers: list[str], temperature: float) -> None:
    """Print the final table, Welch's test of each agent against each baseline, and the spread over seeds."""
    from controller.statistics import welch_p  # loads SciPy

    print(f"\n{task.name}, preset {run.preset}: {task.score}\n")
    print_table(run, task, controllers, temperature)
    real = evaluations(run, "real", None)
    for name in controllers:
        for other in (task.script(name, None).label for name in task.baselines):
            p = welch_p(real[name].scores, real[other].scores)
            verb = "beats" if real[name].mean > real[other].mean else "does not beat"
            means = f"{real[name].mean:.0f} to {real[other].mean:.0f}"
            print(f"{name} {verb} {other} in the real task: {means}, Welch's p = {p:.2g}")
    for line in seed_spreads(controllers, {name: real[name].mean for name in controllers}):
        print(line)


def evaluations(run: Run, world: World, temperature: float | None) -> dict[str, Evaluation]:
    """Return the evaluations of the tables by who played, the largest of each."""
    fitting = [e for e in evaluations_of(run) if (e.world, e.seed, e.temperature) == (world, SEED, temperature)]
    return {e.who: e for e in sorted(fitting, key=lambda e: e.episodes)}


def seed_spreads(controllers: list[str], means: dict[str, float]) -> list[str]:
    """Return a line for each controller trained from several seeds: the mean and spread of its means."""
    from controller.statistics import over_seeds  # loads SciPy

    families: dict[str, list[float]] = {}
    for name in controllers:
        families.setdefault(name.rpartition("-s")[0], []).append(means[name])
    return [f"{family}: {over_seeds(found)}" for family, found in families.items() if len(found) > 1]
