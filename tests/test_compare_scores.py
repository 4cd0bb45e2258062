"""Two agents compared by their stored scores."""

import json

import numpy as np
import pytest
from commands import ROOT, assert_refused
from scipy import stats

RELEASE = ROOT / "results" / "doomrnn"
SCORES = RELEASE / "evaluation"
AGENT, COLD = (f"real-dream-zch-tau{tau}-s0-seed21-n1000.json" for tau in ("1.15", "0.10"))


@pytest.fixture
def compare(inside):
    """Return what runs the script with files of the released scores."""

    def compared(one: list[str], other: list[str]):
        return inside("compare_scores.py", *(SCORES / n for n in one), "--with", *(SCORES / n for n in other))

    return compared


def values(name: str) -> np.ndarray:
    """Return the scores of a released file."""
    return np.array(json.loads((SCORES / name).read_text())["scores"])


def test_the_same_games_are_paired(compare):
    """As scipy has it."""
    a, b = values(AGENT), values("real-sweep120-seed21-n1000.json")
    found = stats.ttest_rel(a, b)
    low, high = found.confidence_interval()
    done = compare([AGENT], ["real-sweep120-seed21-n1000.json"])
    assert done.returncode == 0
    assert f"difference: {a.mean() - b.mean():.0f} (" in done.stdout and f"[{low:.0f}, {high:.0f}]" in done.stdout
    assert f"p = {found.pvalue:.2g}; 1,000 games in common" in done.stdout


def test_several_files_are_pooled(compare):
    """Of two seeds, both count; the same file twice is once."""
    both = [AGENT, AGENT.replace("seed21-n1000", "seed7-n100")]
    done = compare([*both, both[0]], [COLD])
    assert "dream-zch-tau1.15-s0 (seed 7, 21)" in done.stdout and "(1,100)\n" in done.stdout
    assert "1,000 games in common" in done.stdout
    assert "difference: 0 (standard error 0) [0, 0], p = 1;" in compare([COLD], [COLD]).stdout


def test_dreams_are_not_paired(compare):
    """Another agent's dream is another one, whatever its seed."""
    files = [f"dream-dream-zch-tau{tau}-s0-tau0.10-seed7-n1024.json" for tau in ("0.10", "1.15")]
    done = compare(files[:1], files[1:])
    p = stats.ttest_ind(values(files[0]), values(files[1]), equal_var=False).pvalue
    assert f"p = {p:.2g}; not paired" in done.stdout


def test_what_cannot_be_compared_is_refused(compare, inside):
    """One line each, and none that tells to delete a file."""
    assert_refused(compare([AGENT, COLD], [COLD]), 2, COLD, "one side is one agent or policy")
    assert_refused(compare([AGENT], ["dream-dream-zch-tau1.15-s0-tau1.15-seed7-n1024.json"]), 2, "world dream")
    car = ROOT / "results" / "carracing" / "evaluation" / "real-random-seed7-n100.json"
    assert car.exists()
    assert_refused(inside("compare_scores.py", SCORES / AGENT, "--with", car), 2, "task carracing")
    config = RELEASE / "config.json"
    done = inside("compare_scores.py", config, "--with", config)
    assert_refused(done, 2, "not an evaluation", "name files that scripts/evaluate.py wrote")
    assert "delete" not in done.stderr
    assert_refused(inside("compare_scores.py", "nowhere.json", "--with", config), 2, "nowhere.json")
