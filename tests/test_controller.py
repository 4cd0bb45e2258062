"""Training C: every outcome kept the moment it comes, and one controller in the end however often it was stopped."""

import itertools
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from samples import leftovers

from controller.checkpoints import ADVICE, find_controller, load_controller
from controller.cma_es import CMAES
from controller.config import ControllerConfig
from controller.policy_spec import PolicyShape, rounded
from controller.task import controller_name
from controller.training import ControllerTrainer, read_evaluations, search_is_over
from experiment.errors import InputError, NumericalError
from experiment.interrupts import Interrupt
from experiment.jsonl import read_journal, write_journal
from experiment.metrics import read_metrics
from experiment.random_streams import Purpose
from rollouts.farm import Farm
from rollouts.rollout import Kind, Outcome, Rollout

SHAPE = PolicyShape("z", 6, 1, 1, bias=False)
TARGET = np.array([1.0, -1, 0.5, 0, 0.3, -0.2])
CONFIG = ControllerConfig(popsize=6, rollouts=3, sigma_init=0.3, generations=7, evaluate_every=3, evaluate_rollouts=5)
NAMES = (
    "fitness.jsonl",
    "evaluations.jsonl",
    "metrics.jsonl",
    "best.npz",
    "best.json",
    "last.npz",
    "last.json",
    "means.npz",
)


class Hill:
    """Plays rollouts that return more the nearer their weights are to the target, with luck from their stream."""

    played: list[Rollout] = []
    returns = staticmethod(lambda rollout, score: score)

    def __init__(self) -> None:
        self._rollouts: list[Rollout] = []

    def live(self) -> int:
        """How many are under way."""
        return len(self._rollouts)

    def room(self) -> int:
        """How many more fit."""
        return 8 - self.live()

    def add(self, rollouts: Sequence[Rollout]) -> None:
        """Start rollouts."""
        self._rollouts += rollouts

    def drop(self, ids: set[int]) -> None:
        """Forget rollouts."""
        self._rollouts = [rollout for rollout in self._rollouts if rollout.id not in ids]

    def advance(self) -> list[Outcome]:
        """The last two end."""
        ended, self._rollouts = self._rollouts[-2:], self._rollouts[:-2]
        Hill.played += ended
        return [self._outcome(rollout) for rollout in ended]

    def _outcome(self, rollout: Rollout) -> Outcome:
        score = 100 - ((rollout.policy - TARGET) ** 2).sum() + rollout.rng().normal() * 0.05
        return Outcome(rollout.id, float(self.returns(rollout, score)), 10 + rollout.stream.counters[-1] % 3)


class HillPlayers:
    """Makes them."""

    def capacity(self, kind: Kind) -> int:
        """Eight at once."""
        return 8

    def make(self, kind: Kind) -> Hill:
        """One player for all kinds."""
        return Hill()


def train(folder: Path, config: ControllerConfig = CONFIG, say=print, **options) -> dict[str, float]:
    """Train a controller in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"world": "dream", "seed": 0} | options
    return ControllerTrainer(folder, Farm(HillPlayers()), config, SHAPE, options["world"], options["seed"]).run(say)


def stopped(folder: Path, stop: int, config: ControllerConfig = CONFIG) -> None:
    """Train, and be interrupted after so many outcomes."""
    count = itertools.count(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Interrupt, "requested", property(lambda self: next(count) == stop))
        with pytest.raises(KeyboardInterrupt):
            train(folder, config)


def results(folder: Path) -> dict[str, bytes]:
    """All that must be the same."""
    return {name: (folder / name).read_bytes() for name in NAMES}


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """A controller never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    return folder


def test_it_learns_and_keeps_the_best(whole):
    """The fitness rises; the mean is scored every third generation and at the end, and the best of them is kept."""
    rows, scores = read_journal(whole / "fitness.jsonl", {}), read_journal(whole / "evaluations.jsonl", {})
    assert [row["generation"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert np.mean(rows[-1]["fitness"]) > np.mean(rows[0]["fitness"]) and all(len(r["fitness"]) == 6 for r in rows)
    assert [row["generation"] for row in scores] == [3, 6, 7]
    best = max(scores, key=lambda row: row["score"])
    config = json.loads((whole / "best.json").read_text())
    assert (config["generation"], config["score"], config["world"]) == (best["generation"], best["score"], "dream")
    for name in ("best", "last"):
        shape, weights = load_controller(whole, name)
        assert shape == SHAPE and weights.dtype == np.float32 and np.array_equal(weights, rounded(weights))
    metrics = read_metrics(whole)
    assert [row["step"] for row in metrics] == [1, 2, 3, 4, 5, 6, 7]
    assert metrics[2]["mean"] == np.mean(rows[2]["fitness"]) and metrics[2]["max"] == max(rows[2]["fitness"])
    assert metrics[0]["max_steps"] == 12 and not (whole / "outcomes.jsonl").read_bytes()


def test_a_fitness_is_the_mean_of_its_rollouts(tmp_path):
    """Each candidate, rounded, plays once on each of its streams; CMA-ES is told their mean."""
    Hill.played = []
    train(tmp_path, replace(CONFIG, generations=1))
    fitness = read_journal(tmp_path / "fitness.jsonl", {})[0]["fitness"]
    games = [rollout for rollout in Hill.played if rollout.stream.purpose is Purpose.FITNESS]
    assert len(games) == 18 and {game.world for game in Hill.played} == {"dream"}
    assert all(np.array_equal(game.policy, rounded(game.policy)) for game in games)
    by_candidate = {}
    for game in games:
        by_candidate.setdefault(game.policy.tobytes(), []).append(game)
    assert len(by_candidate) == 6
    found = []
    for same in by_candidate.values():
        played = [game.stream.counters for game in same]
        assert {rollout for _, _, rollout in played} == {0, 1, 2} and len(
            {candidate for _, candidate, _ in played}
        ) == 1
        found.append(
            np.mean([Hill()._outcome(game).score for game in sorted(same, key=lambda game: game.stream.counters)])
        )
    assert sorted(found) == pytest.approx(sorted(fitness), rel=1e-12)
    means = [rollout for rollout in Hill.played if rollout.stream.purpose is Purpose.MEAN]
    assert sorted(game.stream.words for game in means) == [(0, 5, n) for n in range(5)]


@pytest.mark.parametrize("stops", [[1], [17], [18], [19, 1, 2], [54, 30, 40, 5], [141]])
def test_stopped_anywhere_and_resumed(whole, tmp_path, stops):
    """After any number of outcomes, also within an evaluation of the mean: the same files as never stopped."""
    for stop in stops:
        stopped(tmp_path, stop)
    Hill.played = []
    train(tmp_path)
    assert results(tmp_path) == results(whole) and leftovers(tmp_path) == []
    assert len(Hill.played) < 7 * 18 + 3 * 5  # what had come before the stop was not played again


@pytest.mark.parametrize(
    ("name", "stop"),
    [("fitness.jsonl", 4 * 18 + 5 + 7), ("outcomes.jsonl", 4 * 18 + 5 + 7), ("evaluations.jsonl", 3 * 18 + 5 + 1)],
)
def test_a_record_cut_in_the_middle_of_a_line(whole, tmp_path, name, stop):
    """A line half-written when the disk was full or the power failed is forgotten, and what it said is found again."""
    stopped(tmp_path, stop)
    lines = (tmp_path / name).read_text().splitlines(keepends=True)
    assert lines
    (tmp_path / name).write_text("".join(lines[:-1]) + lines[-1][: len(lines[-1]) // 2])
    train(tmp_path)
    assert results(tmp_path) == results(whole)


def test_outcomes_of_other_candidates_are_not_taken(tmp_path, monkeypatch):
    """Stopped within a generation and gone on with where CMA-ES draws others: all of theirs are played."""
    config, count = replace(CONFIG, generations=1), itertools.count(1)
    with monkeypatch.context() as patch:
        patch.setattr(Interrupt, "requested", property(lambda self: next(count) == 12))
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, config)
    asked = CMAES.ask
    monkeypatch.setattr(CMAES, "ask", lambda self: asked(self) + 1e-3)
    Hill.played = []
    train(tmp_path, config)
    assert len([rollout for rollout in Hill.played if rollout.stream.purpose is Purpose.FITNESS]) == 18  # not 6


def test_more_generations_later(whole, tmp_path):
    """A finished training goes on where it ended, as if it had been asked for all from the start."""
    train(tmp_path, replace(CONFIG, generations=6))
    train(tmp_path)
    assert results(tmp_path) == results(whole)


def test_fewer_generations_than_there_are(tmp_path):
    """Asked for fewer, it stays at what it has, and still knows its best."""
    train(tmp_path, replace(CONFIG, generations=2, evaluate_every=100))
    (tmp_path / "evaluations.jsonl").unlink()
    summary = train(tmp_path, replace(CONFIG, generations=1, evaluate_every=100))
    assert summary["generations"] == 2 and summary["best_generation"] == 2
    assert len(read_journal(tmp_path / "fitness.jsonl", {})) == 2


STEPS = 6 * (10 + 11 + 12)  # of a generation of `Hill`


@pytest.mark.parametrize("stops", [[], [54, 20], [5 * 18 + 5, 2], [5 * 18 + 5 + 2]])
def test_a_budget_of_steps_ends_the_search(tmp_path, stops):
    """The generation that reaches it is the last one and its mean is scored, also by a search that was stopped."""
    config = replace(CONFIG, generations=100, max_steps=5 * STEPS - 3, evaluate_every=3)
    for stop in stops:
        stopped(tmp_path, stop, config)
    assert train(tmp_path, config)["generations"] == 5
    assert sum(row["steps"] for row in read_metrics(tmp_path)) == 5 * STEPS
    assert [row["generation"] for row in read_evaluations(tmp_path)] == [3, 5]
    asked = tmp_path / "asked for five"
    train(asked, replace(CONFIG, generations=5))
    assert results(tmp_path) == results(asked)


def test_a_larger_budget_goes_on(whole, tmp_path):
    """A search that its budget ended is over by it, not by a larger one, and goes on as if that had been asked for."""
    config = replace(CONFIG, max_steps=6 * STEPS)
    assert train(tmp_path, config)["generations"] == 6
    assert search_is_over(tmp_path, config, 6) and not search_is_over(tmp_path, replace(config, max_steps=10**6), 6)
    train(tmp_path, replace(CONFIG, max_steps=10**6))
    assert results(tmp_path) == results(whole)


def test_a_budget_needs_the_steps_of_every_generation(whole, tmp_path):
    """Metrics of before steps were counted, or none: refused, before anything is played."""
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    config = replace(CONFIG, generations=9, max_steps=10**6)
    old = [{k: v for k, v in row.items() if k != "steps"} for row in read_metrics(tmp_path)]
    for rows in old, []:
        write_journal(tmp_path / "metrics.jsonl", rows)
        with pytest.raises(InputError, match="lacks the steps of a generation; leave controller.max_steps at 0"):
            train(tmp_path, config)
    assert train(tmp_path, replace(config, max_steps=0))["generations"] == 9


def scored(scores: dict[int, float], monkeypatch) -> None:
    """Let the mean of a generation score this, or the score of the last one before it that is listed."""

    def returns(rollout: Rollout, score: float) -> float:
        return scores[max(n for n in scores if n <= current[0])] if rollout.stream.purpose is Purpose.MEAN else score

    current = [0]

    def noted(self, generation, evaluations, due=ControllerTrainer._due_evaluation):
        current[0] = generation
        due(self, generation, evaluations)

    monkeypatch.setattr(Hill, "returns", staticmethod(returns))
    monkeypatch.setattr(ControllerTrainer, "_due_evaluation", noted)


def test_patience_ends_the_search(tmp_path, monkeypatch):
    """It ends at the evaluation that is so many generations after the best one's; as high again is no gain."""
    scored({1: 50.0, 4: 70.0, 6: 60.0, 8: 70.0, 14: 90.0}, monkeypatch)
    config = replace(CONFIG, generations=100, evaluate_every=2, patience=5)
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    summary = train(whole, config)
    assert summary == {"generations": 10, "best_generation": 4, "best_score": 70.0}
    assert [row["generation"] for row in read_evaluations(whole)] == [2, 4, 6, 8, 10]
    for stop in (6 * 18 + 3 * 5 + 2, 16 + 3 * 18 + 5 + 3):  # the second one in the last evaluation
        stopped(parts, stop, config)
    assert train(parts, config) == summary and results(parts) == results(whole)
    assert search_is_over(whole, config, 10) and not search_is_over(whole, config, 8)
    more = train(whole, replace(config, patience=10))
    assert more == {"generations": 24, "best_generation": 14, "best_score": 90.0}


def test_each_score_has_its_standard_error(tmp_path, monkeypatch):
    """In each world, as of a sample; not of a single rollout."""
    worth = {"dream": [1.0, 2.0, 3.0, 4.0, 10.0], "real": [5.0, 7.0]}

    def returns(rollout: Rollout, score: float) -> float:
        number = rollout.stream.counters[-1]
        return score if rollout.stream.purpose is Purpose.FITNESS else worth[rollout.world][number]

    monkeypatch.setattr(Hill, "returns", staticmethod(returns))
    train(tmp_path / "two", replace(CONFIG, generations=1, validation_games=2))
    (row,) = read_evaluations(tmp_path / "two")
    assert (row["score"], row["dream"], row["real"]) == (6.0, 4.0, 6.0)
    assert row["real_error"] == pytest.approx(1.0) and row["dream_error"] == pytest.approx((50 / 4 / 5) ** 0.5)
    train(tmp_path / "one", replace(CONFIG, generations=1, validation_games=1))
    assert read_evaluations(tmp_path / "one")[0].keys() == {"generation", "score", "dream", "real", "dream_error"}
    old = [{"generation": 1, "score": 3.0, "dream": 3.0}]
    write_journal(tmp_path / "one" / "evaluations.jsonl", old)
    train(tmp_path / "one", replace(CONFIG, generations=2))
    assert read_evaluations(tmp_path / "one")[0] == old[0]


def test_validation_games_pick_the_best(tmp_path, monkeypatch):
    """With real games to validate by, these and not the dream decide which mean is the best."""
    worse_later = {1: 50.0, 2: 70.0, 3: 60.0}
    calls = itertools.count()

    def returns(rollout: Rollout, score: float) -> float:
        return worse_later[1 + next(calls) // 4] if rollout.world == "real" else score

    monkeypatch.setattr(Hill, "returns", staticmethod(returns))
    config = replace(CONFIG, generations=3, evaluate_every=1, validation_games=4)
    assert train(tmp_path, config) == {"generations": 3, "best_generation": 2, "best_score": 70.0}
    rows = read_journal(tmp_path / "evaluations.jsonl", {})
    assert [row["score"] for row in rows] == [row["real"] for row in rows] == [50.0, 70.0, 60.0]
    assert rows[0]["dream"] < rows[2]["dream"]


def test_another_seed_is_another_controller(whole, tmp_path):
    """Candidates and rollouts are the seed's."""
    train(tmp_path, seed=1)
    assert (tmp_path / "fitness.jsonl").read_bytes() != (whole / "fitness.jsonl").read_bytes()


def test_a_return_that_is_no_number(tmp_path, monkeypatch):
    """It ends the training; the generations before it stay."""
    returns = staticmethod(lambda rollout, score: score if rollout.stream.counters[0] < 3 else float("nan"))
    monkeypatch.setattr(Hill, "returns", returns)
    with pytest.raises(NumericalError, match=r"fitness 3 of candidates \w{12}: policy \d returned nan in rollout \d"):
        train(tmp_path)
    assert len(read_journal(tmp_path / "fitness.jsonl", {})) == 2


def test_records_that_do_not_fit(whole, tmp_path):
    """Another population, a row missing in the middle, an odd population: refused, with what to do."""
    with pytest.raises(InputError, match="popsize=7: must be an even number"):
        train(tmp_path, replace(CONFIG, popsize=7))
    good = read_journal(whole / "fitness.jsonl", {})
    for rows in good[1:], [good[0] | {"fitness": [1.0]}], [good[0] | {"fitness": ["1"] * 6}]:
        write_journal(tmp_path / "fitness.jsonl", rows)
        with pytest.raises(InputError, match="row 1 does not fit; delete"):
            train(tmp_path)
    for rows in [{"generation": 1}], [good[0] | {"generation": "1"}]:
        write_journal(tmp_path / "fitness.jsonl", rows)
        with pytest.raises(InputError, match="row 1 is damaged .*; delete"):
            train(tmp_path)


def test_other_candidates_are_told(whole, tmp_path):
    """A replay on another kind of machine may round differently: that is said, and the training goes on."""
    rows = read_journal(whole / "fitness.jsonl", {})[:3]
    rows[1]["candidates"] = "0" * 64
    write_journal(tmp_path / "fitness.jsonl", rows)
    said = []
    train(tmp_path, say=said.append)
    assert len(said) == 1 and "from generation 2 on, candidates are not those recorded" in said[0]


def test_names_and_missing_controllers(tmp_path):
    """<world>-<variant>[-tau<T>]-s<seed>; the only one is found, and none or several are said to be."""
    assert controller_name("dream", "zch", 1.15, 0) == "dream-zch-tau1.15-s0"
    assert controller_name("real", "zh", 1.0, 3) == "real-zh-s3"
    with pytest.raises(InputError, match="no controller in it"):
        find_controller(tmp_path)
    folders = [tmp_path / "controller" / name for name in ("a", "b")]
    train(folders[0], replace(CONFIG, generations=1))
    assert find_controller(tmp_path) == folders[0]
    train(folders[1], replace(CONFIG, generations=1))
    with pytest.raises(InputError, match="holds a, b; name one with --controller"):
        find_controller(tmp_path)
    assert find_controller(tmp_path, "b") == folders[1] and find_controller(tmp_path, usual="b") == folders[1]
    with pytest.raises(InputError, match="name one with --controller"):
        find_controller(tmp_path, usual="c")
    for content in ("[]", "{}", json.dumps({**SHAPE.config(), "variant": "all"})):
        (folders[0] / "best.json").write_text(content)
        with pytest.raises(InputError, match="not a controller's configuration"):
            load_controller(folders[0], "best")
    assert ADVICE.startswith("run scripts/train_controller.py")
