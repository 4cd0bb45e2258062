"""Two agents compared by their stored scores."""

import dataclasses
import shutil

import numpy as np
import pytest
from commands import ROOT, assert_refused
from scipy import stats

from controller.score_files import load_evaluation, save_evaluation
from experiment.files import read_sealed, write_sealed

RELEASE = ROOT / "results" / "doomrnn"
SAMPLE = RELEASE / "evaluation" / "real-random-seed7-n100.json"


@pytest.fixture
def store(tmp_path):
    """Return what writes scores, like a released file otherwise, and returns where."""
    like = load_evaluation(SAMPLE)

    def stored(values, folder: str = "a", **changes):
        made = dataclasses.replace(like, scores=list(map(float, values)), episodes=len(values), **changes)
        made = dataclasses.replace(made, lengths=[100] * len(values), mean=float(np.mean(values)))
        return save_evaluation(tmp_path / folder / "evaluation", made)

    return stored


@pytest.fixture
def scores():
    """Return two policies' scores, of 200 episodes that are hard or easy for both."""
    rng = np.random.default_rng(0)
    episodes = rng.normal(700, 300, 200)
    return [episodes + rng.normal(mean, 100, 200) for mean in (0, 15)]


def figures(done) -> str:
    """Return the line of the difference."""
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[2]


def test_the_same_episodes_are_paired(store, scores, inside):
    """As scipy has it; the other way round it is the same difference."""
    a, b = store(scores[0]), store(scores[1], "b")
    found = stats.ttest_rel(scores[1], scores[0])
    low, high = found.confidence_interval()
    told = f"[{low:.2f}, {high:.2f}], p = {found.pvalue:.2g}; 200 episodes are paired"
    assert figures(inside("compare_scores.py", b, "--with", a)).endswith(told)
    assert f"[{-high:.2f}, {-low:.2f}], p = {found.pvalue:.2g}" in figures(inside("compare_scores.py", a, "--with", b))
    again = figures(inside("compare_scores.py", a, "--with", a))
    assert again == "difference: 0.00 (standard error 0.00) [0.00, 0.00], p = 1; 200 episodes are paired"


def test_several_files_are_pooled(store, scores, inside):
    """Two seeds count both, of one seed the longest file alone."""
    mine = [store(scores[0]), store(scores[0][:150]), store(scores[1], seed=8)]
    done = inside("compare_scores.py", *mine, "--with", store(scores[1], "b"))
    assert "random, seed 7, 8: " in done.stdout and "(400)\n" in done.stdout
    assert figures(done).endswith("200 episodes are paired")


def test_others_are_not_paired(store, scores, inside):
    """Episodes of another seed, fewer than 30 of the same, and dreams, whatever their seed: Welch's test."""
    p = stats.ttest_ind(scores[0], scores[1], equal_var=False).pvalue
    mine = store(scores[0])
    dreams = [store(v, f, world="dream", temperature=1.0) for v, f in zip(scores, "ab", strict=True)]
    for done in (
        inside("compare_scores.py", mine, "--with", store(scores[1], "b", seed=8)),
        inside("compare_scores.py", dreams[0], "--with", dreams[1]),
    ):
        assert figures(done).endswith(f"p = {p:.2g}; no episodes are paired")
    done = inside("compare_scores.py", mine, "--with", store(scores[1][:20], "b"))
    assert "no episodes are paired: the same 20 are fewer than 30" in done.stdout
    assert "20 of 100 episodes: too few to rest a claim on" in done.stdout
    assert "dream at 1.00, seed 7" in inside("compare_scores.py", dreams[0], "--with", dreams[1]).stdout


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": "carracing"}, "task carracing"),
        ({"world": "dream", "temperature": 1.0}, "world dream"),
        ({"settings": {"env.skill": 5}}, "settings {'env.skill': 5}"),
    ],
)
def test_another_task_or_world_is_refused(store, scores, inside, changes, words):
    """In one line that tells which."""
    other = store(scores[1], "b", **changes)
    assert_refused(inside("compare_scores.py", store(scores[0]), "--with", other), 2, str(other), words)


def test_another_environment_is_refused(store, scores, inside, tmp_path):
    """Where both runs are there, and not where only the scores are."""
    mine, other = store(scores[0]), store(scores[1], "b")
    config = read_sealed(RELEASE / "config.json")
    for folder, width, skill in (("a", 160, 4), ("b", 640, 4), ("b", 640, 3)):
        config["stages"]["env"] |= {"width": width, "skill": skill}
        write_sealed(tmp_path / folder / "config.json", config)
        done = inside("compare_scores.py", mine, "--with", other)
        assert done.returncode == (0 if skill == 4 else 2), done.stderr
    assert_refused(done, 2, "another env.skill")
    (tmp_path / "b" / "config.json").unlink()
    done = inside("compare_scores.py", mine, "--with", other)
    assert done.returncode == 0 and "not checked" not in done.stdout  # both say the same hash of all settings
    done = inside("compare_scores.py", mine, "--with", store(scores[1], "b", config_sha256="other"))
    assert done.returncode == 0 and done.stdout.splitlines()[-1].startswith("not checked: whether both played in the")


PENDULUM = ROOT / "results" / "pendulum" / "seed-0" / "iteration-01" / "config.json"


@pytest.mark.parametrize(
    ("config", "changes", "says"),
    [
        (PENDULUM, {"palette": "gymnasium", "view": "whole"}, ""),
        (PENDULUM, {"start": "random"}, "another env.start"),
        (ROOT / "results" / "carracing" / "config.json", {"renderer": "gymnasium", "preprocess": "stretched"}, ""),
        (ROOT / "results" / "carracing" / "config.json", {"time_limit": 500}, "another env.time_limit"),
    ],
)
def test_a_task_says_which_settings_only_change_what_is_seen(store, scores, inside, tmp_path, config, changes, says):
    """Those are no other game, in whatever task; all others are."""
    stored = read_sealed(config)
    paths = [store(values, folder, task=stored["task"]) for values, folder in zip(scores, "ab", strict=True)]
    write_sealed(tmp_path / "a" / "config.json", stored)
    write_sealed(tmp_path / "b" / "config.json", stored | {"stages": {"env": stored["stages"]["env"] | changes}})
    done = inside("compare_scores.py", paths[0], "--with", paths[1])
    if says:
        assert_refused(done, 2, says)
    else:
        assert done.returncode == 0 and "not checked" not in done.stdout, done.stderr


def test_measures_are_of_their_runs_and_of_one_kind(store, scores, inside, tmp_path, monkeypatch):
    """In measures/<measure>/ the run is one folder further up; another measure is not compared, nor a return."""
    config = read_sealed(RELEASE / "config.json")
    spins = []
    for folder, skill in (("a", 4), ("b", 5)):
        measures = tmp_path / folder / "measures"
        store(scores[0], folder)
        for measure in ("spins", "reversals"):
            shutil.copytree(tmp_path / folder / "evaluation", measures / measure)
        spins.append(measures / "spins" / SAMPLE.name.replace("n100", "n200"))
        config["stages"]["env"] |= {"skill": skill}
        write_sealed(tmp_path / folder / "config.json", config)
    assert_refused(inside("compare_scores.py", spins[0], "--with", spins[1]), 2, "another env.skill")
    monkeypatch.chdir(spins[0].parent)
    assert inside("compare_scores.py", spins[0].name, "--with", spins[0]).returncode == 0
    for other, kind in ((spins[0].parents[1] / "reversals", "reversals"), (tmp_path / "a" / "evaluation", "return")):
        done = inside("compare_scores.py", spins[0].name, "--with", other / spins[0].name)
        assert_refused(done, 2, f"scores are of {kind}, where", "has spins")


def test_one_side_is_one_policy(store, scores, inside):
    """Other weights, names or folders are refused; a single episode and what is no evaluation, too."""
    mine = store(scores[0], weights="one")
    for changes, word in (({"weights": "two", "seed": 8}, "weights"), ({"policy": "left"}, "who left")):
        assert_refused(inside("compare_scores.py", mine, store(scores[1], **changes), "--with", mine), 2, word)
    far = store(scores[1], "b", seed=8)
    assert_refused(inside("compare_scores.py", mine, far, "--with", mine), 2, str(far), "another folder")
    assert_refused(inside("compare_scores.py", mine, "--with", store([1.0], "b")), 2, "a single episode")
    for path in (RELEASE / "config.json", RELEASE, "nowhere.json", ROOT / "README.md"):
        done = inside("compare_scores.py", mine, "--with", path)
        assert_refused(done, 2, str(path), "name files that scripts/evaluate.py wrote")
