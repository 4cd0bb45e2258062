"""What the results of a folder hold for the claims: who played where, with what scores, and made with what."""

import math
import re
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cli
from reporting.made_with import NOT_STATED, data_policy, settings, stages_of
from running.searches import ITERATION, is_lane

from controller.evaluation import Evaluation, largest
from controller.score_files import load_evaluations, of_other_weights
from controller.statistics import Sample
from controller.task import temperature_text
from experiment.errors import InputError
from experiment.errors import command as shell_line
from experiment.jsonl import read_journal

UNTRAINED = "untrained"  # how folders of runs begin whose M was not trained, which others are measured against
NUMBERED = re.compile(rf"{ITERATION}\d+")
FIRST = f"{ITERATION}01"  # of the runs of `reproduce.py --iterations`; it is as any other


@dataclass(frozen=True)
class Played:
    """One policy in one world: its pooled scores, the evaluations behind them and the run they belong to."""

    run: Path
    evaluations: tuple[Evaluation, ...]
    sample: Sample = field(repr=False)
    measure: str = ""  # what was scored: a folder of measures, or the return

    @classmethod
    def of(cls, run: Path, evaluations: list[Evaluation], measure: str = "") -> "Played":
        """Return the evaluations of one policy in one world, pooled over their seeds."""
        pooled = Sample.pooled([(e.seed, e.scores) for e in evaluations], evaluations[0].world)
        return cls(run, tuple(largest(evaluations, lambda e: e.seed).values()), pooled, measure)

    @property
    def first(self) -> Evaluation:
        """One of its evaluations, for what all of them share."""
        return self.evaluations[0]

    @property
    def lengths(self) -> list[int]:
        """The lengths of all of its episodes."""
        return [length for evaluation in self.evaluations for length in evaluation.lengths]

    @property
    def commands(self) -> list[str]:
        """The commands that play the same again."""
        return [command(self.run, evaluation, self.measure) for evaluation in self.evaluations]

    @property
    def files(self) -> list[Path]:
        """The files of its evaluations."""
        folder = self.run / "measures" / self.measure if self.measure else self.run / "evaluation"
        return [folder / evaluation.file_name for evaluation in self.evaluations]


def command(run: Path, evaluation: Evaluation, measure: str = "") -> str:
    """Return the command that makes an evaluation, or a measure of driving, again."""
    e, script = evaluation, "measure_driving.py" if measure else f"evaluate.py {evaluation.task}"
    words = ["--run", run, "--world", e.world]
    policy = e.policy if e.policy in cli.task(e.task).policies else "collector"
    words += ["--controller", e.controller] if e.controller else ["--policy", policy]
    words += ["--period", e.period] if e.period else []
    words += ["--temperature", temperature_text(e.temperature)] if e.temperature is not None else []
    other = (e.controller or e.world == "dream") and not measure and e.precision != _own_precision(run)
    words += ["--set", f"controller.precision={e.precision}"] if other else []
    return f"python scripts/{script} {shell_line(*words, '--episodes', e.episodes, '--seed', e.seed)}"


def _own_precision(run: Path) -> str:
    """Return the precision that a run's agents play in unless they are told another one."""
    file = run / "config.json"
    return str(stages_of(file)["controller"]["precision"]) if file.exists() else "float32"


class Evidence:
    """All runs below a folder: itself, those in it, those in its folders named as a task, and the iterations in a run.

    What was played of tasks that no claim is about is passed over; `unclaimed` are their names. So is a search that is
    there twice, in a run and in its release or copy, but for one of them; `copies` are (run, original). And so are
    scores of weights that their controller no longer has; `stale` are their files.

    kept: the runs judged, by task. data: who played their data, where that is not the evidence of most episodes.
    """

    def __init__(self, results: Path):
        tasks = [results, *(results / name for name in cli.TASKS)]
        runs = [run for task in tasks for run in (task, *_folders(task), *_seeds(task))]
        folders = [run for outer in runs for run in (outer, *_iterations(outer))]
        self.stale: list[Path] = []
        found = [p for folder in dict.fromkeys(folders) for p in self._played(folder)]
        self.results = results
        self.played, self.copies = _each_search_once([p for p in found if p.first.task in cli.TASKS])
        self.unclaimed = sorted({p.first.task for p in found} - set(cli.TASKS))
        if not found and not results.is_dir():
            raise InputError(f"{results}: no such folder; name one of runs, or a run, with --results")
        self._runs = {p.run for p in self.played}
        self._groups = {task: self._runs_made_alike(task) for task in cli.TASKS}
        self.kept = {task: groups[0] if groups else set() for task, groups in self._groups.items()}
        self._beside: list[Evidence] = []
        self.data = ""

    def _played(self, run: Path) -> Iterator[Played]:
        """Yield everything played in a run with the best checkpoint: its returns, and what else was measured.

        What was played in bfloat16 counts where the same was not played in float32.
        """
        folders = {"": run / "evaluation"} | {folder.name: folder for folder in _folders(run / "measures")}
        groups: dict[tuple, list[Evaluation]] = {}
        for measure, folder in folders.items():
            found = load_evaluations(folder)
            stale = of_other_weights(run, found)
            self.stale += [folder / e.file_name for e in stale]
            for e in found:
                # other settings than the run's own; a dream with sampled deaths is not the paper's
                if e.plays == "best" and not e.settings and e not in stale:
                    groups.setdefault((measure, e.world, e.who, e.temperature), []).append(e)
        for (measure, *_), evaluations in groups.items():
            exact = [e for e in evaluations if e.in_precision("float32")]
            yield Played.of(run, exact or evaluations, measure)

    def _runs_made_alike(self, task: str) -> list[set[Path]]:
        """Return the runs of a task by what they were made with: a method each, that of most episodes of agents first.

        A folder that is itself a run is judged alone.
        """
        groups: dict[str, dict[Path, int]] = {}
        for p in self.played:
            if p.first.task == task and not p.measure and not apart(p.run):
                runs = groups.setdefault(str(sorted(settings(p.run, "dream").items())), {})
                runs[p.run] = runs.get(p.run, 0) + (len(p.sample) if p.first.controller else 0)
        if self.results in self._runs or _is_run(self.results):
            return [{self.results}] if any(self.results in runs for runs in groups.values()) else []
        return [set(runs) for runs in sorted(groups.values(), key=lambda runs: sum(runs.values()), reverse=True)]

    def on_other_data(self, task: str) -> list["Evidence"]:
        """Return the evidence of runs whose V and M learned from other games than those judged, `data` saying which.

        Of each such policy of collecting the runs of most episodes of agents.
        """
        found: dict[str, Evidence] = {}
        for runs in self._groups[task][1:]:
            data = data_policy(min(runs))
            new = data not in (NOT_STATED, self._policy(task), *found)
            if new and any(p.run in runs and p.first.controller for p in self.played):
                found[data] = self._judging(task, runs, data)
        self._beside += found.values()
        return list(found.values())

    def _judging(self, task: str, runs: set[Path], data: str = "") -> "Evidence":
        """Return this evidence with other runs of a task in place of those judged."""
        other = copy(self)
        other.kept, other.data = self.kept | {task: runs}, data
        return other

    def _policy(self, task: str) -> str:
        """Return who played the games that the V and M of the judged runs of a task learned from."""
        return data_policy(min(self.kept[task])) if self.kept[task] else NOT_STATED

    @property
    def left_out(self) -> list[Path]:
        """Runs whose agents nothing is judged by: neither those kept, nor those of other data that were asked for."""
        runs = {p.run for p in self.played if not apart(p.run)}
        judged = {run for evidence in (self, *self._beside) for kept in evidence.kept.values() for run in kept}
        return sorted(runs - judged)

    def find(self, task: str, world: str, apart_as: str = "", measure: str = "", **wanted: Any) -> list[Played]:
        """Return what was played with these fields of an evaluation (`who`: how its name begins), by run and name.

        measure: what of it, the return where none is named. apart_as: how the folder of the runs set apart begins that
        it is looked for in, rather than in all others.
        """
        fitting = [
            p
            for p in self.played
            if (p.first.task, p.first.world, p.measure) == (task, world, measure)
            and (apart(p.run) == apart_as and self._goes_on(p) if apart_as else p.run in self.kept[task])
            and all(p.first.who.startswith(v) if k == "who" else getattr(p.first, k) == v for k, v in wanted.items())
        ]
        return sorted(fitting, key=lambda p: (str(p.run), in_order(p.first.who)))

    def last_iteration(self, task: str, who: str) -> str:
        """Return how the last run is called in which agents whose names begin so went on; empty where there is none."""
        later = {
            apart(p.run)
            for p in self.played
            if (p.first.task, p.first.world) == (task, "real") and p.first.controller and p.first.who.startswith(who)
            if self._goes_on(p)
        }
        return max(filter(NUMBERED.fullmatch, later), key=number_of, default="")

    def _goes_on(self, played: Played) -> bool:
        """Return whether a run may be measured against those judged.

        An iteration in a run's folder is of that run; one that stands beside runs is of those on its own data.
        """
        task, outer = played.first.task, played.run.parent
        if not apart(played.run).startswith(ITERATION):
            return not self.data
        if outer in self._runs or _is_run(outer):
            return outer in self.kept[task]
        data = data_policy(played.run)
        return data == self._policy(task) if self.data else data in (NOT_STATED, self._policy(task))

    def iteration(self, task: str, who: str, name: str = "") -> list[Played]:
        """Return what stands for an iteration in the real task, the first one where none is named.

        Where a procedure was begun from several seeds, each is one unit, for which its agent stands: the search with
        the best score of its own. Of a single one each search is a unit.
        """
        found = self.find(task, "real", name, who=who, policy="agent")
        lanes: dict[Path, list[Played]] = {}
        for played in found:
            lanes.setdefault(played.run, []).append(played)
        if not all(is_lane(run.parent) for run in lanes):
            return found
        return [max(searches, key=_own_score) for searches in lanes.values()]

    def agent(self, task: str, world: str, who: str, **wanted: Any) -> Played | None:
        """Return the first search's agent: never the best one's."""
        return next(iter(self.find(task, world, who=who, **wanted)), None)

    def script(self, task: str, policy: str) -> Played | None:
        """Return a scripted policy in the real task; of sweeps of several periods that of most episodes."""
        return max(self.scripts(task, policy), key=lambda p: len(p.sample), default=None)

    def scripts(self, task: str, policy: str) -> list[Played]:
        """Return the scripted policies of a name in the real task: each once (sweeps of several periods), in order.

        V, M and C play no part in their episodes. So what most episodes were played of stands for all runs that played
        it, the first of them if several; and where a judged run has none, those of another run in the same game count.
        """
        found = self.find(task, "real", policy=policy, controller=None)
        if not found and self.kept[task]:
            game = settings(min(self.kept[task]), "game")
            alike = {run for run in self._runs if settings(run, "game") == game}
            found = self._judging(task, alike).find(task, "real", policy=policy, controller=None)
        longest: dict[str, Played] = {}
        for p in found:  # by run and name
            if p.first.who not in longest or len(p.sample) > len(longest[p.first.who].sample):
                longest[p.first.who] = p
        return [longest[who] for who in sorted(longest)]

    def script_in_dream_of(self, agent: Played | None, policy: str) -> Played | None:
        """Return a scripted policy in the very dream that an agent was played in: its run, temperature and measure."""
        if agent is None:
            return None
        e = agent.first
        same = {"policy": policy, "controller": None, "temperature": e.temperature, "measure": agent.measure}
        return next((p for p in self.find(e.task, "dream", **same) if p.run == agent.run), None)


def in_order(who: str) -> tuple[str, int]:
    """Return what sorts the searches of a controller by their seeds, of whose names the last part is one."""
    name, _, seed = who.rpartition("-s")
    return (name, int(seed)) if seed.isdigit() else (who, 0)


def _each_search_once(found: Sequence[Played]) -> tuple[list[Played], list[tuple[Path, Path]]]:
    """Return what was played without the copies of a search, and (run of a copy, run of what it is a copy of).

    A copy has the same name and the same fitness in its first generation. Of all runs that hold a search, not set apart
    from one another, one stands for it in every world: that of most episodes in float32, then of most episodes.
    """
    searches: dict[tuple, dict[Path, list[int]]] = {}
    keys = []
    begins = {folder: _first_fitness(folder) for folder in dict.fromkeys(map(_controller_folder, found))}
    for played in found:
        e, begin = played.first, begins[_controller_folder(played)]
        keys.append((e.task, e.who, apart(played.run), begin) if begin else None)  # imported weights have none
        if begin:
            counts = searches.setdefault(keys[-1], {}).setdefault(played.run, [0, 0])
            counts[0] += len(played.sample) if e.in_precision("float32") else 0
            counts[1] += len(played.sample)
    stands = {key: max(runs, key=lambda run: runs[run]) for key, runs in searches.items()}
    kept = [p for p, key in zip(found, keys, strict=True) if key is None or p.run == stands[key]]
    return kept, sorted({(run, stands[key]) for key, runs in searches.items() for run in runs if run != stands[key]})


def _controller_folder(played: Played) -> Path:
    """Where the controller of who played is; of a script, where none is."""
    return played.run / "controller" / str(played.first.controller)


def _first_fitness(folder: Path) -> tuple[float, ...]:
    """Return the fitness of each candidate of a search's first generation; empty where there is no search."""
    rows = read_journal(folder / "fitness.jsonl", {"generation": int}, f"delete {folder} to train it again")
    return tuple(rows[0].get("fitness", ())) if rows else ()


def apart(run: Path) -> str:
    """Return how a run set apart from the others is called, or an empty string: an iteration by its whole name."""
    if run.name.startswith(ITERATION):
        return "" if run.name == FIRST else run.name
    return UNTRAINED if run.name.startswith(UNTRAINED) else ""


def number_of(iteration: str) -> int:
    """Return the number of an iteration by the name of its run."""
    return int(iteration.removeprefix(ITERATION)) if NUMBERED.fullmatch(iteration) else 2


def _own_score(played: Played) -> float:
    """Return the best score of a search while it went on, by which its procedure picks who acts."""
    rows = read_journal(_controller_folder(played) / "evaluations.jsonl", {"score": float}, "")
    return max((row["score"] for row in rows), default=-math.inf)


def _seeds(path: Path) -> list[Path]:
    """Return the runs of a procedure that was taken through its iterations from several seeds."""
    return [run for seed in _folders(path) if is_lane(seed) for run in _folders(seed)]


def _iterations(run: Path) -> list[Path]:
    """Return the runs that went on from a run and lie in its folder, as those of a release do."""
    return [path for path in _folders(run) if NUMBERED.fullmatch(path.name)] if _is_run(run) else []


def _is_run(path: Path) -> bool:
    return (path / "config.json").exists()


def _folders(path: Path) -> list[Path]:
    return sorted(p for p in path.glob("*") if p.is_dir() and not p.name.startswith(".")) if path.is_dir() else []


def of_each(*sides: Sequence[Played]) -> str:
    """Return in words that each side's searches share one V and M, which the sides differ in, where that is so."""
    return ", one V and M of each" if all(len({p.run for p in side}) == 1 for side in sides) else ""
