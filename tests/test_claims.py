"""The rules on claims, with made-up scores on both sides of each; and the verdicts of a whole folder of results."""

import json
import shutil
from dataclasses import asdict

import numpy as np
import pytest
from commands import ROOT, python, run

from controller.evaluation import Evaluation
from controller.statistics import Published, above_value, bootstrap_interval, compare, falling, greater, not_greater_by

PAPER = Published(1000.0, 200.0)


def scores(mean: float, std: float, count: int = 100) -> list[float]:
    """Made-up scores with this mean and standard deviation (ddof 1) to the last digit."""
    x = np.random.default_rng(count).normal(size=count)
    return ((x - x.mean()) / x.std(ddof=1) * std + mean).tolist()


@pytest.mark.parametrize(
    ("mean", "std", "count", "verdict"),
    [
        (1000, 200, 100, "reproduced"),
        (1060, 200, 100, "reproduced"),
        (1150, 200, 100, "above"),
        (850, 200, 100, "below"),
        (1000, 2000, 100, "undecided, needs"),
        (1000, 200, 99, "not measured yet"),
    ],
)
def test_a_row_of_a_table(mean, std, count, verdict):
    """Each verdict has its scores, and none is given from 99 episodes."""
    assert compare(scores(mean, std, count), PAPER, rows=5).verdict.startswith(verdict)


def test_the_correction_for_rows():
    """What is significant alone may not be so among many."""
    ours = scores(1075, 200)
    assert compare(ours, PAPER, rows=1).verdict == "above"
    assert compare(ours, PAPER, rows=50).verdict != "above"


def test_the_episodes_that_would_decide():
    """With as many as it asks for, the row is decided."""
    words = compare(scores(1000, 2000), PAPER, rows=5).verdict.split()
    more = int(words[2].replace(",", ""))
    assert compare(scores(1000, 2000, 100 + more), PAPER, rows=5).verdict == "reproduced"
    assert compare(scores(1000, 2000, 100 + more // 2), PAPER, rows=5).verdict.startswith("undecided")


@pytest.mark.parametrize(("low", "verdict"), [(750.1, "holds"), (749.9, "does not hold")])
def test_solved(low, verdict):
    """By the interval's lower end, not by the mean."""
    assert above_value(scores(900, 500), 750, low).verdict == verdict
    assert above_value(scores(900, 500, 50), 750, low).verdict == "not measured yet"


@pytest.mark.parametrize(("mean", "verdict"), [(600, "holds"), (520, "does not hold"), (300, "does not hold")])
def test_better_than(mean, verdict):
    """One-sided: no better is not better."""
    assert greater(scores(mean, 200), scores(500, 200), "a to b").verdict == verdict
    assert greater(scores(mean, 200), scores(500, 200, 20), "a to b").verdict == "not measured yet"
    assert greater([5.0] * 100, [5.0] * 100, "equal").verdict == "does not hold"


@pytest.mark.parametrize(("mean", "verdict"), [(180, "holds"), (215, "does not hold"), (300, "does not hold")])
def test_no_better_than(mean, verdict):
    """A mean that may well be a tenth above does not pass for no better."""
    assert not_greater_by(scores(mean, 60), scores(210, 100), 0.1, "a to b").verdict == verdict


def test_falling():
    """A fall over all groups holds, a flat line does not, and neither does a rise."""
    names, means = ("0.1", "0.5", "1.0"), np.array([900, 700, 500])
    groups = [(n, scores(m, 200, 100 + i)) for i, (n, m) in enumerate(zip(names, means, strict=True))]
    assert falling(groups).verdict == "holds"
    assert falling(groups[::-1]).verdict == "does not hold"
    assert falling([("a", scores(500, 200)), ("b", scores(500, 200, 101))]).verdict == "does not hold"
    assert falling([groups[0], ("few", [1.0])]).verdict == "not measured yet"


def evaluation(task: str, world: str, who: str, found: list[float], temperature: float | None = None) -> Evaluation:
    """A made-up evaluation of an agent, or of a script where `who` is not a controller's name."""
    agent = "-" in who
    return Evaluation(
        task=task,
        world=world,
        policy="agent" if agent else who,
        controller=who if agent else None,
        temperature=temperature,
        episodes=len(found),
        seed=7,
        mean=float(np.mean(found)),
        std=float(np.std(found)),
        ci95=bootstrap_interval(np.array(found)),
        scores=found,
        lengths=[1] * len(found),
        config_sha256="",
        commit="",
    )


def verdicts(folder) -> dict[str, str]:
    """What the command says of a folder of results."""
    done = run(python("verify_claims.py", "--results", folder, "--json", folder / "claims.json"))
    assert done.returncode == 0, done.stderr
    return {row["name"]: row["verdict"] for row in json.loads((folder / "claims.json").read_text())}


def test_verdicts_follow_the_scores(tmp_path):
    """Nothing is claimed of what was not measured; made-up scores decide, and other scores decide otherwise."""
    shutil.copy(ROOT / "results" / "paper.json", tmp_path / "paper.json")

    def put(*evaluations: Evaluation, run: str = "run") -> None:
        for e in evaluations:
            file = tmp_path / e.task / run / "evaluation" / e.file_name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(asdict(e)))

    hot, cold = "dream-zch-tau1.15-s0", "dream-zch-tau0.10-s0"
    put(
        evaluation("doomrnn", "real", hot, scores(1100, 550)),
        evaluation("doomrnn", "real", cold, scores(180, 60)),
        evaluation("doomrnn", "dream", cold, scores(2050, 150), 0.1),
        evaluation("doomrnn", "real", "random", scores(215, 100)),
        evaluation("carracing", "real", "real-zh-s0", scores(700, 200)),
        evaluation("carracing", "real", "real-z-s0", scores(500, 200)),
    )
    first = verdicts(tmp_path)
    assert first["doomrnn: sizes"] == first["carracing: sizes"] == "holds"
    assert first["table 2: tau 1.15, real"] == "reproduced" and first["table 1: zh"] == "below"
    for name in ("beats random", "solved", "a cold dream is fooled", "and teaches nothing", "heat helps"):
        assert first[f"doomrnn: {name}"] == "holds", name
    assert first["carracing: h helps"] == "holds" and first["carracing: solved"] == "does not hold"
    assert first["iterative procedure"] == first["carracing: an untrained M"] == "not measured yet"
    assert first["doomrnn: beats a blind sweep"] == first["table 2: tau 0.50, dream"] == "not measured yet"
    put(
        evaluation("doomrnn", "real", hot, scores(250, 550)),
        evaluation("doomrnn", "dream", cold, scores(150, 100), 0.1),
        evaluation("doomrnn", "real", cold, scores(400, 60)),
        evaluation("carracing", "real", "real-z-s0", scores(705, 200)),
    )
    put(evaluation("doomrnn", "real", hot, scores(900, 300)), run="second-turn")
    put(evaluation("carracing", "real", "real-zh-s0", scores(700, 200)), run="untrained")
    second = verdicts(tmp_path)
    assert second["table 2: tau 1.15, real"] == "below"
    for name in ("beats random", "solved", "a cold dream is fooled", "and teaches nothing", "heat helps"):
        assert second[f"doomrnn: {name}"] == "does not hold", name
    assert second["carracing: h helps"] == "does not hold"
    assert second["iterative procedure"] == second["carracing: an untrained M"] == "holds"
