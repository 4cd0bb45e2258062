"""Scores in rows and tables of Markdown, those that `reproduce.py` prints, and which baselines an agent beats."""

from running.searches import SEED

from controller.config import World
from controller.evaluation import Evaluation, largest
from controller.score_files import evaluations_of
from controller.task import Task, temperature_text
from experiment.runs import Run


def row(evaluation: Evaluation) -> str:
    """Return ``mean ± std [lo, hi] (N)``."""
    low, high = evaluation.ci95
    return f"{evaluation.mean:.0f} ± {evaluation.std:.0f} [{low:.0f}, {high:.0f}] ({evaluation.episodes})"


def table(rows: list[tuple[str, ...]], heads: tuple[str, ...]) -> str:
    """Return rows of text in columns, as Markdown."""
    widths = [max(len(cell) for cell in column) for column in zip(heads, *rows, strict=True)]
    lines = [heads, tuple("-" * w for w in widths), *rows]
    return "\n".join("| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines)


def print_table(run: Run, task: Task, controllers: list[str], temperature: float, episodes: int | None = None) -> None:
    """Print the scores of agents and scripted policies, in the dream if C is trained in it, and the paper's.

    episodes: only evaluations of so many count; None: the largest.
    """
    dream, real = evaluations(run, "dream", temperature, episodes), evaluations(run, "real", None, episodes)
    rows = [
        (who, row(dream[who]) if who in dream else "", row(real[who]) if who in real else "")
        for who in [*controllers, *scripts(run, task)]
    ]
    published = task.published if controllers else []
    heads = ("policy", f"dream, tau {temperature_text(temperature)}", "real task")
    shown = (0, 1, 2) if task.world == "dream" else (0, 2)
    cells = [tuple(line[n] for n in shown) for line in [heads, *rows, *published] if any(line[1:])]
    print(table(cells[1:], cells[0]))
    print(f"mean ± std of the {task.score} [95 % interval of the mean] (episodes)\n", flush=True)


def scripts(run: Run, task: Task) -> list[str]:
    """Return the labels of the task's scripted policies, the one that collected this run's episodes included."""
    labels = [task.script(name, None).label for name in task.policies]
    return list(dict.fromkeys([*labels, task.collector(run.stages.collect).label]))


def print_survival(run: Run, names: list[str], temperature: float, episodes: int | None = None) -> None:
    """Print deaths per 100 steps by window in both worlds, and a warning where the dream's are not the real task's.

    Only of tasks whose return is the number of steps survived. episodes: see `print_table`.
    """
    from reporting import survival  # loads SciPy

    dream, real = evaluations(run, "dream", temperature, episodes), evaluations(run, "real", None, episodes)
    lengths = {
        who: tuple(found[who].lengths if who in found else [] for found in (dream, real))
        for who in names
        if all(found[who].scores == found[who].lengths for found in (dream, real) if who in found)
    }
    if not any(map(any, lengths.values())):
        return
    limit = run.stages.env.time_limit
    heads, *rows = survival.hazard_rows(lengths, limit)
    print(table(rows, heads))
    print("\n".join([*survival.warnings(lengths, limit), *survival.apart(lengths, limit), ""]), flush=True)


def print_results(run: Run, task: Task, controllers: list[str], temperature: float) -> None:
    """Print the final table, which baselines each agent is shown to beat, and the spread over seeds."""
    print(f"\n{task.name}, preset {run.preset}: {task.score}\n")
    print_table(run, task, controllers, temperature)
    if task.world == "dream":
        print_survival(run, controllers, temperature)
    _print_comparisons(task, controllers, evaluations(run, "real", None))


def print_temperatures(run: Run, task: Task, controllers: dict[float, list[str]], own: float) -> None:
    """Print which baselines each agent is shown to beat, and at the end a table with a row for each temperature.

    controllers: names by temperature. own: that of the run, whose first agent played in all the dreams. Of several
    searches the table shows the mean and spread over them.
    """
    real = evaluations(run, "real", None)
    print(f"\n{task.name}, preset {run.preset}: {task.score}\n")
    _print_comparisons(task, [name for names in controllers.values() for name in names], real)
    heads = ["temperature", "dream", "real task"]
    heads += [f"agent of {temperature_text(own)} in this dream"] if own in controllers else []
    rows = []
    for tau, names in controllers.items():
        dream = evaluations(run, "dream", tau)
        found = [temperature_text(tau), _searches([dream[n] for n in names]), _searches([real[n] for n in names])]
        rows.append(tuple(found + ([row(dream[controllers[own][0]])] if own in controllers else [])))
    print(f"\n{table(rows, tuple(heads))}")
    print(f"mean ± std of the {task.score} [95 % interval of the mean] (episodes); several searches: over their means")
    if task.published:
        print(f"\n{table(task.published, ('published', 'dream', 'real task'))}\n", flush=True)


def _searches(found: list[Evaluation]) -> str:
    """Return a cell of the table: one search's score, or the mean and spread over several."""
    from controller.statistics import over_seeds  # loads SciPy

    return row(found[0]) if len(found) == 1 else over_seeds([e.mean for e in found])


def _print_comparisons(task: Task, controllers: list[str], real: dict[str, Evaluation]) -> None:
    """Print which baselines each agent is shown to beat, and the spread over seeds."""
    pairs = [(name, task.script(other, None).label) for name in controllers for other in task.baselines]
    for line in comparisons([(real[name], real[other]) for name, other in pairs]):
        print(line)
    for line in seed_spreads(controllers, {name: real[name].mean for name in controllers}):
        print(line)


def comparisons(pairs: list[tuple[Evaluation, Evaluation]]) -> list[str]:
    """Return a line for each pair (agent, baseline) in the real task, which says "beats" only where it is shown.

    All lines are corrected together (Holm, 5 %); the same episodes are paired.
    """
    from controller.statistics import Sample, difference  # loads SciPy
    from controller.verdicts import REFUTED, SHOWN, Between, decide, enough, p_words

    samples = [[Sample.pooled([(e.seed, e.scores)]) for e in pair] for pair in pairs]
    verdicts, _ = decide([Between(difference(a, b), low=0.0) for a, b in samples])
    verbs, lines = {SHOWN: "beats", REFUTED: "is beaten by"}, []
    for (agent, other), (a, b), verdict in zip(pairs, samples, verdicts, strict=True):
        short = enough(len(a), len(b))
        verb = "is not shown to beat" if short else verbs.get(verdict.outcome, "is not shown to beat")
        why = f"; {short or verdict.further}" if short or verdict.further else ""
        figures = f"{agent.mean:.0f} to {other.mean:.0f}, {p_words(verdict.p)}{why}"
        lines.append(f"{agent.who} {verb} {other.who} in the real task: {figures}")
    return lines


def evaluations(
    run: Run, world: World, temperature: float | None, episodes: int | None = None
) -> dict[str, Evaluation]:
    """Return the evaluations of the tables by who played, the largest of each, or those of so many episodes."""
    fitting = [e for e in evaluations_of(run) if (e.world, e.seed, e.temperature) == (world, SEED, temperature)]
    fitting = [e for e in fitting if episodes in (None, e.episodes)]
    return largest(fitting, lambda e: e.who)


def seed_spreads(controllers: list[str], means: dict[str, float]) -> list[str]:
    """Return a line for each controller trained from several seeds: the mean and spread of its means."""
    from controller.statistics import over_seeds  # loads SciPy

    families: dict[str, list[float]] = {}
    for name in controllers:
        families.setdefault(name.rpartition("-s")[0], []).append(means[name])
    return [f"{family}: {over_seeds(found)}" for family, found in families.items() if len(found) > 1]
