"""What the iterative procedure has come to: a table by iteration, its JSON, and the paper's figure.

``iterations.json`` holds everything that is drawn; ``iterations.png`` the real score and M's error by iteration;
``foresight.png`` a stretch of a real episode, and the same as the first and the last M dream it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cli
import numpy as np
from reporting.tables import table as markdown
from running.searches import LANE, agent_of, is_lane, iteration_path, real_score
from scipy import stats

from controller.evaluation import largest
from controller.score_files import evaluations_of
from experiment.files import write_json
from vae.episodes import Episode, list_episodes, read_episode, split_episodes

if TYPE_CHECKING:
    from controller.task import Task
    from experiment.runs import Run


SHOWN, STRIDE, LEAD = 12, 2, 8  # frames of the strip, steps between them, steps of it before the best-paid frame
BEST_PAID = 0.1  # share of an episode's frames


@dataclass(frozen=True)
class Row:
    """One iteration: a value for each seed that has come so far.

    real: mean scores of the evaluations. dream: what C's kept weights score in the dream they were trained in, None
    where they were trained in the real task.
    error: M's error on held-out frames of the newest policy (`controller.trajectories.prediction_errors`); best_paid:
    on the frames among them that pay best.
    """

    iteration: int
    real: list[float]
    dream: list[float | None]
    error: list[float]
    best_paid: list[float]


def write_report(path: Path, task: Task, iterations: int) -> str:
    """Write ``iterations.json`` and the figures into the folder of all seeds; returns the table."""
    cli.load_tensorflow()
    seeds = [runs for folder in lanes(path) if (runs := iteration_runs(folder, iterations))]
    tests = [held_out_episodes(runs[-1], task) for runs in seeds]
    rows = [row(number, seeds, tests) for number in range(1, max(map(len, seeds)) + 1)]
    known = baselines(seeds[0][0])
    values = {"task": task.name, "score": task.score, "seeds": len(seeds), "baselines": known}
    write_json(path / "iterations.json", {**values, "iterations": [asdict(r) for r in rows]})
    draw_curves(path, rows, known, task)
    draw_strip(path, seeds[0], tests[0])
    return table(rows, known, task) + f"\nwrote {path / 'iterations.json'}, iterations.png and foresight.png"


def lanes(path: Path) -> list[Path]:
    """Return the folders that hold iterations: one a seed, or the only one."""
    return sorted(folder for folder in path.glob(f"{LANE}*") if is_lane(folder)) or [path]


def iteration_runs(folder: Path, iterations: int) -> list:
    """Return the finished iterations of a seed, at most so many."""
    found = []
    for number in range(1, iterations + 1):
        path = iteration_path(folder, number)
        if not list(path.glob("evaluation/real-*.json")):
            break
        found.append(cli.open_existing(path))
    return found


def row(number: int, seeds: list, tests: list) -> Row:
    """Return the figures of an iteration over all seeds that have it."""
    from controller.training import read_evaluations

    columns: list[list] = [[], [], [], []]
    for runs, episodes in zip(seeds, tests, strict=True):
        if number > len(runs):
            continue
        run = runs[number - 1]
        name = agent_of(run)
        scored = max(read_evaluations(run.path / "controller" / name), key=lambda e: e["score"])
        values = (real_score(run, name).mean, scored.get("dream"), *errors(run, episodes))
        for column, value in zip(columns, values, strict=True):
            column.append(value)
    return Row(number, *columns)


def held_out_episodes(run: Run, task: Task, most: int = 3) -> list:
    """Return the best-paid episodes (obs, action, reward) of the newest policy that nothing was trained on."""
    paths = split_episodes(list_episodes(run.folder("collect")), run.seed)[1]
    episodes = [read_episode(path, task.action_size) for path in paths]
    return sorted(episodes, key=lambda e: -float(e.reward.sum()))[:most]


def best_paid(episode: Episode) -> np.ndarray:
    """Return which frames of an episode pay best, bool [T]: the tenth with the highest rewards."""
    return episode.reward >= np.quantile(episode.reward, 1 - BEST_PAID)


def models(run: Run) -> tuple:
    """V and M of a run."""
    from rnn.training import load_rnn
    from vae.training import load_vae

    return load_vae(run.folder("vae")), load_rnn(run.folder("rnn"))


def errors(run: Run, episodes: list) -> tuple[float, float]:
    """M's mean error on all frames of these episodes, and on the best-paid ones."""
    from controller.trajectories import Trajectory, prediction_errors

    found = [prediction_errors(*models(run), Trajectory(e.obs, e.action)) for e in episodes]
    paid = np.concatenate([best_paid(e)[1:] for e in episodes])
    values = np.concatenate(found)
    return float(values.mean()), float(values[paid].mean())


def baselines(run: Run) -> dict[str, list[float]]:
    """Mean and standard deviation of each scripted policy in the real task."""
    scripts = [e for e in evaluations_of(run) if e.world == "real" and not e.controller]
    return {who: [e.mean, e.std] for who, e in largest(scripts, lambda e: e.who).items()}


def interval(values: list[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean over seeds (Student's t); the value itself for one seed."""
    if len(values) < 2:
        return values[0], values[0]
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values))
    return float(np.mean(values) - half), float(np.mean(values) + half)


def table(rows: list[Row], known: dict[str, list[float]], task: Task) -> str:
    """Return the table as Markdown, with the scripted policies below it."""
    cells = []
    for r in rows:
        low, high = interval(r.real)
        real = f"{np.mean(r.real):.0f} [{low:.0f}, {high:.0f}]" if len(r.real) > 1 else f"{r.real[0]:.0f}"
        dream = "" if None in r.dream else f"{np.mean(r.dream):.0f}"
        cells.append((str(r.iteration), real, dream, f"{np.mean(r.error):.1f}", f"{np.mean(r.best_paid):.1f}"))
    cells += [(name, f"{mean:.0f} ± {std:.0f}", "", "", "") for name, (mean, std) in known.items()]
    heads = ("iteration", f"{task.score}, real", "in its dream", "M's error", "on best-paid frames")
    note = (
        f"means over {len(rows[0].real)} seeds [95 % interval of the mean over seeds]; M's error: squared pixels of a "
        "frame, one step ahead, on held-out episodes of the newest policy"
    )
    return f"\n{task.name}, the iterative procedure\n\n{markdown(cells, heads)}\n{note}\n"


def draw_curves(path: Path, rows: list[Row], known: dict[str, list[float]], task: Task) -> None:
    """Draw the real score of each seed and their mean, over the baselines; and M's error, by iteration."""
    from matplotlib.ticker import MaxNLocator
    from reporting.figures import GREY, OURS, THEIRS, THIRD, plt, save

    figure, (above, below) = plt.subplots(2, 1, figsize=(7, 6), sharex=True)
    xs = [r.iteration for r in rows]
    for seed in range(max(len(r.real) for r in rows)):
        ys = [r.real[seed] if seed < len(r.real) else np.nan for r in rows]
        above.plot(xs, ys, "-", color=OURS, lw=0.8, alpha=0.5, label="a seed" if seed == 0 else None)
    above.plot(xs, [np.mean(r.real) for r in rows], "o-", color=OURS, lw=2, ms=4, label="mean over seeds")
    for style, (name, (mean, _)) in zip(("--", ":", "-.", (0, (1, 5))), known.items(), strict=False):
        above.axhline(mean, color=GREY, ls=style, lw=1.2, label=name)
    above.set_ylabel(f"{task.score} in the real task")
    above.legend(loc="best", fontsize=8)
    below.plot(xs, [np.mean(r.error) for r in rows], "o-", color=THIRD, ms=4, label="all frames")
    below.plot(xs, [np.mean(r.best_paid) for r in rows], "s--", color=THEIRS, ms=4, label="best-paid frames")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    below.set(xlabel="iteration", ylabel="M's error, one step ahead", yscale="log")
    below.legend(fontsize=8)
    figure.tight_layout()
    save(figure, path / "iterations")
    plt.close(figure)


def draw_strip(path: Path, runs: list, episodes: list) -> None:
    """Draw a stretch of the newest policy's best episode, up to its best-paid frames, real and as two M dream it."""
    from reporting.figures import plt, save, strips

    from controller.trajectories import Trajectory, dream_on

    episode = episodes[0]
    length = min(SHOWN * STRIDE, len(episode) - 2)
    first = int(np.flatnonzero(best_paid(episode))[0])
    start = int(np.clip(first - LEAD, 1, len(episode) - 1 - length))
    trajectory = Trajectory(episode.obs, episode.action)
    rows = [("real", episode.obs[start + 1 : start + 1 + length : STRIDE])]
    for label, run in (("first M", runs[0]), (f"M of iteration {len(runs)}", runs[-1])):
        rows.append((label, dream_on(*models(run), trajectory, start, length)[::STRIDE]))
    columns = [f"{step}" for step in range(start + 1, start + 1 + length, STRIDE)]
    save(figure := strips(rows, columns), path / "foresight")
    plt.close(figure)
