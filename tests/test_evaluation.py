"""Scores summed up, files that say what made them, and evaluations that were interrupted."""

import itertools
import json
import re
import shutil

import numpy as np
import pytest
from commands import ROOT, assert_refused
from reporting.tables import row, table

from controller.evaluation import Conditions, Evaluation, Subject, largest, play, summarise
from controller.score_files import PlayedEpisodes, load_evaluations, save_evaluation
from doomrnn.scripted import TakeCoverScript
from experiment.errors import InputError, NumericalError
from experiment.interrupts import Interrupt
from experiment.provenance import digest
from experiment.random_streams import Purpose
from rollouts.farm import Farm
from rollouts.rollout import Outcome, Rollout

LABELS = {
    "task": "doomrnn",
    "world": "real",
    "policy": "sweep",
    "controller": None,
    "temperature": None,
    "seed": 7,
    "config_sha256": "c" * 64,
    "commit": "unknown",
}
KEYS = {"task", "world", "policy", "controller", "temperature", "episodes", "seed", "mean", "std", "ci95"}
KEYS |= {"scores", "lengths", "config_sha256", "commit"}


def outcomes(scores: list[float], length: int | None = None) -> list[Outcome]:
    """Rollouts of these returns, twice as long, or of one length."""
    return [Outcome(n, score, length or int(2 * score)) for n, score in enumerate(scores)]


def make(**changes) -> Evaluation:
    """An evaluation of a sweep, or of what `changes` say."""
    labels = LABELS | changes
    agent = labels["policy"] == "agent"
    subject = Subject(labels["policy"], np.zeros(3, np.float32) if agent else TakeCoverScript(labels["policy"], 90))
    return summarise(outcomes([1.0, 2.0, 6.0]), Conditions(**{"period": subject.period} | labels))


def test_summed_up_by_hand():
    """Mean, std with ddof 0, and the scores in their order."""
    made = make()
    assert (made.episodes, made.mean, made.std) == (3, 3.0, pytest.approx(np.sqrt(14 / 3)))
    assert made.scores == [1.0, 2.0, 6.0] and made.lengths == [2, 4, 12] and made.period == 90
    assert made.ci95[0] <= made.mean <= made.ci95[1]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "real-sweep90-seed7-n3.json"),
        ({"policy": "random_hold"}, "real-random_hold-seed7-n3.json"),
        ({"world": "dream", "temperature": 1.15}, "dream-sweep90-tau1.15-seed7-n3.json"),
        ({"policy": "agent", "controller": "dream-zch-tau1.15-s0"}, "real-dream-zch-tau1.15-s0-seed7-n3.json"),
        ({"policy": "agent", "controller": "a", "precision": "bfloat16"}, "real-a-bfloat16-seed7-n3.json"),
        (
            {"world": "dream", "temperature": 1.0, "precision": "bfloat16"},
            "dream-sweep90-tau1.00-bfloat16-seed7-n3.json",
        ),
        ({"policy": "agent", "controller": "a", "checkpoint": "last"}, "real-a-last-seed7-n3.json"),
    ],
)
def test_file_names(changes, name):
    """<world>-<controller or policy>[-tau<T>]-seed<S>-n<N>.json."""
    assert make(**changes).file_name == name


def test_a_file_comes_back(tmp_path):
    """All that was promised stands in it, and it is read as it was written."""
    made = make()
    path = save_evaluation(tmp_path / "evaluation", made)
    stored = json.loads(path.read_text())
    assert set(stored) >= KEYS and stored["scores"] == [1.0, 2.0, 6.0]
    assert load_evaluations(tmp_path / "evaluation") == [made]
    assert load_evaluations(tmp_path / "nowhere") == []


def test_keys_stand_in_their_order(tmp_path):
    """That of the released files, which is not that of the fields; older files lack some keys."""
    folder = ROOT / "results" / "carracing" / "evaluation"
    found = load_evaluations(folder)
    assert len(found) > 5
    for one in found:
        paths = folder / one.file_name, save_evaluation(tmp_path, one)
        there, written = (list(json.loads(path.read_text())) for path in paths)
        assert [key for key in written if key in there] == there
        assert written[-4:] == ["made_with", "weights", "precision", "settings"]


def test_precisions_stand_side_by_side(tmp_path):
    """Those asked for, and what no network took part in."""
    agent = {"policy": "agent", "controller": "a"}
    made = [make(), make(**agent), make(**agent, precision="bfloat16"), make(world="dream", temperature=1.0)]
    for one in made:
        save_evaluation(tmp_path, one)
    found = {p: load_evaluations(tmp_path, p) for p in (None, "float32", "bfloat16")}
    assert len(found[None]) == 4 and {e.precision for e in found["float32"]} == {"float32"}
    assert len(found["float32"]) == 3 and sorted(e.who for e in found["bfloat16"]) == ["a", "sweep90"]


@pytest.mark.parametrize(
    "change",
    [
        {"scores": [1.0, 2.0]},
        {"scores": ["1", "2", "6"]},
        {"scores": [1.0, 2.0, float("nan")]},
        {"lengths": {}},
        {"episodes": "3"},
        {"ci95": None},
        {"mean": [3]},
        {"temperature": "1.15"},
        {"world": 1},
        {"made_with": [1]},
    ],
)
def test_a_file_of_other_values(tmp_path, change):
    """A field of another type, or scores that are not one number an episode, are refused in one line."""
    path = save_evaluation(tmp_path, make())
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match="not an evaluation"):
        load_evaluations(tmp_path)


@pytest.mark.parametrize("content", ["{", "[1]", "{}", '{"task": "doomrnn", "surprise": 1}'])
def test_a_file_that_is_none(tmp_path, content):
    """Refused in one line with its name."""
    (tmp_path / "x.json").write_text(content)
    with pytest.raises(InputError) as caught:
        load_evaluations(tmp_path)
    assert "x.json" in str(caught.value) and "\n" not in str(caught.value)


def test_best_and_last_weights_do_not_share_a_file():
    """An evaluation of the last weights does not take the place of the best ones'."""
    agent = {"policy": "agent", "controller": "dream-zch-tau1.15-s0"}
    assert make(**agent, checkpoint="best").file_name != make(**agent, checkpoint="last").file_name


@pytest.mark.parametrize("first", ["best", "last"])
def test_the_same_weights_under_both_names(tmp_path, capsys, first):
    """Where the last generation is the best one, no episode is played twice, and either name has its scores."""
    from evaluate import not_evaluated

    agent, weights = {"policy": "agent", "controller": "a", "made_with": "same"}, np.zeros(3, np.float32)
    save_evaluation(tmp_path, make(**agent, checkpoint=first))
    for name in ("best", "last", "best"):
        conditions = Conditions(**LABELS | agent, checkpoint=name)
        assert not_evaluated([(Subject("agent", weights, "a", name), conditions)], tmp_path, tmp_path, 3) == []
    assert load_evaluations(tmp_path) == [make(**agent, checkpoint=name) for name in ("last", "best")]
    said = capsys.readouterr().out
    assert said.count(f"evaluated before as its {first} weights, which are the same; wrote ") == 1
    assert said.count("evaluated before, nothing to do") == 2
    others = {"made_with": "other"}, {"controller": "b"}  # weights of its own, or a controller of its own
    for other in others:
        known = [(Subject("agent", weights), Conditions(**LABELS | agent | other))]
        assert not_evaluated(known, tmp_path, tmp_path, 3) == known


def test_the_largest_of_each():
    """1,024 episodes count and not 256, whatever order their files are in; of equally many the first."""
    made = {n: summarise(outcomes([1.0] * n), Conditions(**LABELS | {"seed": n})) for n in (1024, 256)}
    other = summarise(outcomes([2.0] * 256), Conditions(**LABELS | {"seed": 1}))
    for order in (made.values(), reversed(made.values())):
        assert largest(order, lambda e: e.who) == {"sweep": made[1024]}
    assert largest([made[256], other], lambda e: e.who) == {"sweep": made[256]}
    assert largest([made[256], other], lambda e: e.seed) == {256: made[256], 1: other}
    assert largest([], lambda e: e.who) == {}


def test_tables():
    """Columns of Markdown, wide enough for every cell."""
    assert row(make()) == f"3 ± 2 [{make().ci95[0]:.0f}, {make().ci95[1]:.0f}] (3)"
    lines = table([("sweep", "", "3 ± 2"), ("random_hold", "1", "2")], ("policy", "dream", "real")).splitlines()
    assert lines == [
        "| policy      | dream | real  |",
        "| ----------- | ----- | ----- |",
        "| sweep       |       | 3 ± 2 |",
        "| random_hold | 1     | 2     |",
    ]


def test_digest_is_of_the_values():
    """The same settings hash alike whatever the order of their names."""
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})


# --- interrupted and gone on with ---


class StoppedFarm:
    """Scores each rollout by its stream and policy, the last one first, and is interrupted after some of them."""

    def __init__(self, stop: int):
        self.stop, self.asked = stop, []

    def play(self, rollouts: list[Rollout]):
        """Yield the outcomes until the stop."""
        self.asked = [rollout.id for rollout in rollouts]
        for rollout in itertools.islice(rollouts[::-1], self.stop):
            yield Outcome(rollout.id, float(rollout.rng().normal() + rollout.policy[0]), 3 + rollout.id)
        if self.stop < len(rollouts):
            raise KeyboardInterrupt


def under_way(folder, **changes) -> list[PlayedEpisodes]:
    """The episodes of two policies under way."""
    labels = LABELS | {"made_with": "a"} | changes
    return [PlayedEpisodes(folder, Conditions(**labels | {"policy": name}), 4) for name in ("left", "right")]


def played(farm: StoppedFarm, kept=()) -> list[list[Outcome]]:
    """What four episodes of two policies came to."""
    return play(farm, "real", [np.float32([0.0]), np.float32([9.0])], 4, 7, kept)


def test_an_interrupted_evaluation_goes_on(tmp_path):
    """Only the missing episodes are played, and the outcomes are those of one never stopped; a cut line is no loss."""
    whole = played(StoppedFarm(99))
    assert [[o.length for o in one] for one in whole] == [[3, 4, 5, 6], [7, 8, 9, 10]]
    for stop, missing in ((3, 8), (3, 5), (0, 2)):
        farm = StoppedFarm(stop)
        with pytest.raises(KeyboardInterrupt):
            played(farm, under_way(tmp_path))
        assert len(farm.asked) == missing
    with open(tmp_path / "real-left-seed7-n4.jsonl", "ab") as file:
        file.write(b'{"table": "a", "id": 0, "sco')
    farm, kept = StoppedFarm(99), under_way(tmp_path)
    found = played(farm, kept)
    assert farm.asked == [0, 1]
    assert [[(o.score, o.length) for o in one] for one in found] == [
        [(o.score, o.length) for o in one] for one in whole
    ]
    for one in kept:
        one.delete()
    assert not list(tmp_path.iterdir())


def test_episodes_of_other_conditions_do_not_count(tmp_path):
    """Another controller of the same name, say: all is played, and what was kept of the other one is gone."""
    with pytest.raises(KeyboardInterrupt):
        played(StoppedFarm(6), under_way(tmp_path))
    farm = StoppedFarm(5)
    with pytest.raises(KeyboardInterrupt):
        played(farm, under_way(tmp_path, made_with="b"))
    assert len(farm.asked) == 8
    assert [len(one.recovered) for one in under_way(tmp_path, made_with="b")] == [1, 4]
    assert [len(one.recovered) for one in under_way(tmp_path)] == [0, 0]


def test_a_score_that_no_evaluation_may_have_is_not_kept(tmp_path):
    """It is played again, and refused again, instead of damaging the file."""
    kept = under_way(tmp_path)[0]
    for number, score in enumerate((float("nan"), float("inf"), 1e13, 2.0)):
        kept.add(Outcome(number, score, 1))
    assert under_way(tmp_path)[0].recovered == [Outcome(3, 2.0, 1)]


@pytest.mark.parametrize("score", [2e12, -1e12, float("nan"), float("inf")])
def test_what_no_reader_accepts_is_not_written(tmp_path, score):
    """A return beyond the bound of the files is refused where it is played, and the advice is to scale the reward."""
    from controller.training import RolloutTable

    said = f"{score:g} (the most is 1e+12: scale the reward)" if np.isfinite(score) else str(score)
    with pytest.raises(NumericalError, match=re.escape(f"sweep in the real: episode 1 of seed 7 returned {said}")):
        summarise(outcomes([1.0, score], length=1), Conditions(**LABELS))

    class Large:
        def play(self, rollouts):
            yield from (Outcome(rollout.id, score if rollout.id else 1.0, 1) for rollout in rollouts)

    streams = [[Purpose.MEAN.stream(0, rollout=n) for n in (1, 2)]] * 2
    for _ in range(2):  # the journal stays readable, and the same command says the same again
        table = RolloutTable(Large(), tmp_path, Interrupt())
        with pytest.raises(NumericalError, match=re.escape(f"C, x: policy 0 returned {said} in rollout 1")):
            table.play("x", "real", np.zeros((2, 3), np.float32), streams)
    kept = [json.loads(line)["score"] for line in (tmp_path / "outcomes.jsonl").read_text().splitlines()]
    assert kept == [1.0]


def test_a_period_of_a_policy_that_has_none(tmp_path, inside):
    """Refused, where it was passed over in silence; a policy beside it that has one takes it."""
    words = ("--period", 5, "--episodes", 2, "--policy", "random")
    for task, release in (("pendulum", "pendulum/seed-0/iteration-01"), ("carracing", "carracing")):
        folder = tmp_path / task
        folder.mkdir()
        shutil.copy(ROOT / "results" / release / "config.json", folder)
        done = inside("evaluate.py", task, "--run", folder, *words, "stay")
        assert_refused(done, 2, "--period 5: none of random, stay has one; leave it out")
        assert [path.name for path in folder.iterdir()] == ["config.json"]
    done = inside("evaluate.py", "pendulum", "--run", tmp_path / "pendulum", *words, "sweep")
    assert done.returncode == 0 and (tmp_path / "pendulum/evaluation/real-sweep5-seed0-n2.json").exists(), done.stderr


def test_a_stranger_among_the_scores(tmp_path, inside):
    """In a folder of --to a file of something else is left alone, and its name said."""
    shutil.copy(ROOT / "results" / "pendulum" / "seed-0" / "iteration-01" / "config.json", tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "b.json").write_text('{"a": 1}')
    words = ("evaluate.py", "pendulum", "--run", tmp_path, "--policy", "random", "--episodes", 2)
    refused = inside(*words, "--to", tmp_path / "mine")
    assert_refused(refused, 2, "b.json: not an evaluation", "name another folder with --to")
    assert (tmp_path / "mine" / "b.json").read_text() == '{"a": 1}'


def test_the_command_goes_on_after_an_interruption(tmp_path, inside, monkeypatch):
    """Two policies stopped after 5 of 8 episodes: three are left, the files are the same, and nothing else stays."""
    shutil.copy(ROOT / "results" / "pendulum" / "seed-0" / "iteration-01" / "config.json", tmp_path)
    words = ("evaluate.py", "pendulum", "--run", tmp_path, "--policy", "random", "sweep", "--episodes", 4)
    assert inside(*words, "--to", tmp_path / "whole").returncode == 0
    asked, playing = [], Farm.play

    def stopped(self, rollouts, repeats=True):
        asked.append(len(rollouts))
        yield from itertools.islice(playing(self, rollouts, repeats), 5)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Farm, "play", stopped)
        done = inside(*words)
    assert done.returncode == 130 and "the same command goes on" in done.stderr and asked == [8]
    assert not list((tmp_path / "evaluation").glob("*.json"))
    with monkeypatch.context() as patch:
        patch.setattr(Farm, "play", lambda self, rollouts: asked.append(len(rollouts)) or playing(self, rollouts))
        done = inside(*words)
    assert done.returncode == 0 and asked == [8, 3] and "of 4 episodes were played before; going on" in done.stdout
    folders = [tmp_path / "evaluation", tmp_path / "whole"]
    names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    assert names[0] == names[1] == ["real-random-seed0-n4.json", "real-sweep22-seed0-n4.json"]
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in names[0])
