"""Training C: CMA-ES on returns of rollouts, every outcome durable when it arrives, resumed by replay.

A controller's folder holds ``fitness.jsonl`` (a row a generation: fitness and a hash of its candidates),
``outcomes.jsonl`` (returns of the generation under way), ``evaluations.jsonl`` (scores of the mean), ``best`` and
``last`` (weights with their configuration), ``candidates.npz`` (the last generation), ``means.npz`` (the evaluated
means), ``metrics.jsonl`` and ``timing.jsonl``.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from controller.checkpoints import save_candidates, save_controller, save_mean
from controller.cma_es import CMAES, fingerprint
from controller.config import ControllerConfig
from controller.outcomes import OutcomeJournal
from controller.policy_spec import PolicyShape, rounded
from experiment.errors import InputError, NumericalError
from experiment.interrupts import Interrupt, deferred_interrupts
from experiment.jsonl import append_row, read_journal, write_journal
from experiment.metrics import Metrics, read_metrics
from experiment.progress import Progress
from experiment.random_streams import Purpose, Stream
from rollouts.farm import Farm
from rollouts.rollout import Rollout, wrong_return

FITNESS = {"generation": int, "candidates": str, "fitness": list}
EVALUATION = {"generation": int, "score": float}


@dataclass(frozen=True)
class Returns:
    """What a set of rollouts returned: score and length, both [policies, rollouts]."""

    score: np.ndarray
    length: np.ndarray


class RolloutTable:
    """Plays policies x rollouts on the farm, with the outcomes that arrived before a kill read back."""

    def __init__(self, farm: Farm, folder: Path, interrupt: Interrupt):
        self.farm, self.journal, self.interrupt = farm, OutcomeJournal(folder / "outcomes.jsonl"), interrupt
        self.steps = 0

    def play(self, label: str, world: str, weights: np.ndarray, streams: list[list[Stream]]) -> Returns:
        """Play every policy weights [n, P] once on each of its streams; `label` names the table.

        Raises NumericalError naming the policy and rollout whose return is no number, or too large to be one.
        """
        count = len(streams[0])
        table = np.full((2, len(weights) * count), np.nan)
        for outcome in self.journal.recovered(label, table.shape[1]):
            table[:, outcome.id] = outcome.score, outcome.length
        todo = [
            Rollout(number, world, streams[number // count][number % count], weights[number // count])
            for number in np.flatnonzero(np.isnan(table[0])).tolist()
        ]
        for outcome in self.farm.play(todo):
            if wrong := wrong_return(outcome.score):
                policy, rollout = divmod(outcome.id, count)
                raise NumericalError(f"C, {label}: policy {policy} returned {wrong} in rollout {rollout}")
            table[:, outcome.id] = outcome.score, outcome.length
            self.steps += outcome.length
            self.journal.add(label, outcome)
            if self.interrupt.requested:
                raise KeyboardInterrupt
        return Returns(*(part.reshape(len(weights), count) for part in table))

    def clear(self) -> None:
        """Forget the outcomes of tables that are complete and recorded."""
        self.journal.clear()


def fitness_streams(
    config: ControllerConfig, seed: int, generation: int, rollouts: int | None = None
) -> list[list[Stream]]:
    """Return streams [popsize][rollouts]: candidates i and i + popsize / 2 share theirs (source: authors' code)."""
    half, count = config.popsize // 2, rollouts or config.rollouts
    return [
        [
            Purpose.FITNESS.stream(seed, generation=generation, candidate=candidate % half, rollout=rollout)
            for rollout in range(count)
        ]
        for candidate in range(config.popsize)
    ]


def scheduled_rollouts(config: ControllerConfig, best: float) -> int:
    """Return the rollouts of each fitness of a generation, the best mean fitness so far being `best` (-inf: none).

    From `first_rollouts` doubled at even steps of the fitness, to `rollouts` at `full_rollouts_at`.
    """
    first, full = config.first_rollouts, config.full_rollouts_at
    if not 0 < first < config.rollouts or best >= full:
        return config.rollouts
    doublings = math.ceil(math.log2(config.rollouts / first))
    return min(config.rollouts, first * 2 ** math.floor(doublings * max(best, 0.0) / full))


class ControllerTrainer:
    """One controller's training in one folder.

    folder: holds the files named above; what is there already is gone on with. farm: plays the rollouts. config: of C
    and CMA-ES. shape: of C, whose weights have P = shape.size numbers. world: "dream" or "real", where the fitness is
    measured. seed: of CMA-ES and of every rollout. start: weights [P] that CMA-ES begins at, in place of 0.
    """

    def __init__(
        self,
        folder: Path,
        farm: Farm,
        config: ControllerConfig,
        shape: PolicyShape,
        world: str,
        seed: int,
        start: np.ndarray | None = None,
    ):
        self.folder, self.farm, self.config, self.shape, self.world = folder, farm, config, shape, world
        self.es = CMAES(shape.size, config.popsize, config.sigma_init, seed, start)
        self.seed = seed
        self.best_fitness = -math.inf  # the highest mean fitness of a generation so far

    def run(self, say: Callable[[str], None] = print) -> dict[str, float]:
        """Train until the search is over, replaying what is recorded; returns the generations and the best evaluation.

        Raises InputError where `max_steps` is set, and a recorded generation does not say its steps.
        """
        done, evaluations = self._replay(say), self._evaluations()
        metrics, generation = Metrics(self.folder, done), done
        total = max(done, self.config.generations)
        if done:
            self._save("last", self.es.mean, done, None)  # a kill may have come before it was
        with deferred_interrupts() as interrupt, Progress("C", total, "generations", done) as progress:
            self.table = RolloutTable(self.farm, self.folder, interrupt)
            self._due_evaluation(done, evaluations)  # a kill may have come between the two
            while not search_is_over(self.folder, self.config, generation):
                generation += 1
                note = self._generation(generation, metrics)
                self._due_evaluation(generation, evaluations)
                last = f", mean's score {evaluations[-1]['score']:.0f}" if evaluations else ""
                progress.update(1, note + last)
        best = max(evaluations, key=lambda row: row["score"])
        return {"generations": generation, "best_generation": best["generation"], "best_score": best["score"]}

    def _replay(self, say: Callable[[str], None]) -> int:
        """Bring CMA-ES to where it was; returns the number of generations told."""
        file, again = self.folder / "fitness.jsonl", f"delete {self.folder} to train again"
        rows, said = read_journal(file, FITNESS, again), False
        for number, row in enumerate(rows, 1):
            candidates = self.es.ask()
            if not self._fits(row, number):
                raise InputError(f"{file}: row {number} does not fit; {again}")
            if row["candidates"] != fingerprint(candidates) and not said:
                say(f"C: from generation {number} on, candidates are not those recorded (another CPU?); going on")
                said = True
            self._tell(candidates, np.array(row["fitness"]))
            if number == len(rows):
                save_candidates(self.folder, candidates, np.array(row["fitness"]))
        write_journal(file, rows)
        return len(rows)

    def _tell(self, candidates: np.ndarray, fitness: np.ndarray) -> None:
        self.es.tell(candidates, fitness)
        self.best_fitness = max(self.best_fitness, float(fitness.mean()))

    def _fits(self, row: dict[str, Any], number: int) -> bool:
        """Return whether a row of the fitness table is one of this training."""
        numbers = all(isinstance(value, float) and math.isfinite(value) for value in row["fitness"])
        return numbers and row["generation"] == number and len(row["fitness"]) == self.config.popsize

    def _generation(self, generation: int, metrics: Metrics) -> str:
        """Ask, play, tell, record; returns what to show."""
        started, steps = time.monotonic(), self.table.steps
        candidates = self.es.ask()
        rollouts = scheduled_rollouts(self.config, self.best_fitness)
        streams = fitness_streams(self.config, self.seed, generation, rollouts)
        label = f"fitness {generation} of candidates {fingerprint(candidates)[:12]}"  # others on another CPU, maybe
        returns = self.table.play(label, self.world, rounded(candidates), streams)
        fitness = returns.score.mean(axis=1)
        self._tell(candidates, fitness)
        seconds = time.monotonic() - started
        rate = (self.table.steps - steps) / seconds
        metrics.log(generation, self._figures(fitness, returns), {"seconds": seconds, "steps_per_second": rate})
        row = {"generation": generation, "candidates": fingerprint(candidates), "fitness": fitness.tolist()}
        append_row(
            self.folder / "fitness.jsonl", row
        )  # after the metrics, which a resume cuts back to what stands here
        self.table.clear()
        self._save("last", self.es.mean, generation, None)
        save_candidates(self.folder, candidates, fitness)
        played = f"{rollouts} rollouts, {rate:,.0f} steps/s"
        return f"fitness {fitness.mean():.0f} (best {fitness.max():.0f}), {played}"

    def _figures(self, fitness: np.ndarray, returns: Returns) -> dict[str, float]:
        """Return the columns of the authors' history files, and the steps of all rollouts."""
        return {
            "mean": float(fitness.mean()),
            "min": float(fitness.min()),
            "max": float(fitness.max()),
            "std": float(fitness.std()),
            "rms_sigma": self.es.rms_sigma,
            "mean_steps": float(returns.length.mean()),
            "max_steps": float(returns.length.max()),
            "steps": float(returns.length.sum()),
        }

    def _evaluations(self) -> list[dict[str, Any]]:
        rows = read_evaluations(self.folder)
        write_journal(self.folder / "evaluations.jsonl", rows)
        return rows

    def _due_evaluation(self, generation: int, evaluations: list[dict[str, Any]]) -> None:
        """Score the mean where it is due and was not; the best so far becomes ``best``."""
        due = generation % self.config.evaluate_every == 0 or search_is_over(self.folder, self.config, generation)
        if generation == 0 or not due or any(row["generation"] == generation for row in evaluations):
            return
        weights = rounded(self.es.mean)[None]
        worlds = [self.world, "real"] if self.config.validates and self.world == "dream" else [self.world]
        scores = {world: self._scores(world, weights, generation) for world in worlds}
        means = {world: float(values.mean()) for world, values in scores.items()}
        errors = {f"{world}_error": standard_error(values) for world, values in scores.items() if len(values) > 1}
        row = {"generation": generation, "score": means[worlds[-1]], **means, **errors}
        if not evaluations or row["score"] > max(other["score"] for other in evaluations):
            self._save("best", self.es.mean, generation, row["score"])
        save_mean(self.folder, generation, self.es.mean)
        append_row(self.folder / "evaluations.jsonl", row)
        evaluations.append(row)
        self.table.clear()

    def _scores(self, world: str, weights: np.ndarray, generation: int) -> np.ndarray:
        """Return the returns [rollouts] of one policy [1, P] on rollouts that are the same every time."""
        own = world == self.world
        count = self.config.evaluate_rollouts if own else self.config.validation_games
        purpose = Purpose.MEAN if own else Purpose.VALIDATE
        streams = [[purpose.stream(self.seed, rollout=rollout) for rollout in range(count)]]
        label = f"mean {generation} {world} {fingerprint(weights)[:12]}"
        return self.table.play(label, world, weights, streams).score[0]

    def _save(self, name: str, weights: np.ndarray, generation: int, score: float | None) -> None:
        labels = {"world": self.world, "generation": generation, "score": score}
        save_controller(self.folder, name, self.shape, weights, labels)


def standard_error(scores: np.ndarray) -> float:
    """Return the standard error of the mean of scores [N], N >= 2."""
    return float(scores.std(ddof=1) / math.sqrt(len(scores)))


def search_is_over(folder: Path, config: ControllerConfig, generations: int) -> bool:
    """Return whether the search of a folder ends after so many generations, by what is recorded of them.

    Raises InputError where `max_steps` is set, and the folder does not say the steps of each generation.
    """
    if generations >= config.generations:
        return True
    if config.max_steps and _steps(folder, generations) >= config.max_steps:
        return True
    rows = [row for row in read_evaluations(folder) if row["generation"] <= generations] if config.patience else []
    best = max(rows, key=lambda row: row["score"], default=None)
    return best is not None and rows[-1]["generation"] - best["generation"] >= config.patience


def _steps(folder: Path, generations: int) -> float:
    """Return the steps of all fitness rollouts of the first generations; InputError where they are not all known."""
    played = _steps_by_generation(folder)
    if generations >= len(played) or not math.isfinite(played[generations]):
        file = folder / "metrics.jsonl"
        raise InputError(f"{file}: lacks the steps of a generation; leave controller.max_steps at 0 for this search")
    return float(played[generations])


def _steps_by_generation(folder: Path) -> np.ndarray:
    """Return the steps of all fitness rollouts up to each generation from 0 on; NaN from one on whose are unknown."""
    return np.cumsum([0.0, *(row.get("steps", math.nan) for row in read_metrics(folder))])


def read_evaluations(folder: Path) -> list[dict[str, Any]]:
    """Return the evaluations of a controller's mean: generation, score (it picks the best), and the mean in each world.

    Its standard error there, as ``<world>_error``, is in those that know it: not in older ones, nor of one rollout.
    """
    return read_journal(folder / "evaluations.jsonl", EVALUATION, f"delete {folder} to train again")


def scores_by_steps(folder: Path) -> tuple[list[float], list[float]]:
    """Return the steps of all fitness rollouts up to each evaluation of a controller, and its score in the real task.

    Both are empty where C was trained in the dream, and where its metrics are of before steps were counted.
    """
    rows = [row for row in read_evaluations(folder) if "dream" not in row]
    played = _steps_by_generation(folder)
    steps = [float(played[row["generation"]]) for row in rows if row["generation"] < len(played)]
    return (steps, [row["score"] for row in rows]) if len(steps) == len(rows) and np.isfinite(steps).all() else ([], [])
