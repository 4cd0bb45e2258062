"""The same controller however many ranks train it, and however often it was stopped."""

import json
import shutil
import time
from pathlib import Path

import pytest
from commands import kill_when, python, ranked, run, start

WORDS = ("--set", "controller.generations=3", "--set", "controller.popsize=6", "--set", "controller.rollouts=8")
NAME = "controller/dream-zch-tau1.15-s0"


def trainable(smoke, folder: Path) -> Path:
    """A run of its own with the smoke run's V and M, and no controller yet."""
    for part in ("rollouts", "vae", "series", "rnn"):
        shutil.copytree(smoke.path / part, folder / part)
    shutil.copy(smoke.path / "config.json", folder / "config.json")
    return folder


def results(folder: Path) -> dict[str, bytes]:
    """What must not depend on the ranks."""
    names = ("fitness.jsonl", "evaluations.jsonl", "metrics.jsonl", "best.npz", "last.npz")
    return {name: (folder / NAME / name).read_bytes() for name in names}


def trained(smoke, folder: Path, ranks: int) -> dict[str, bytes]:
    """The results of a whole training under mpirun."""
    done = run(ranked(ranks, "train_controller.py", "doomrnn", "--run", trainable(smoke, folder), *WORDS), seconds=300)
    assert done.returncode == 0, done.stderr
    return results(folder)


@pytest.fixture(scope="module")
def whole(smoke, tmp_path_factory) -> dict[str, bytes]:
    """The results of one rank that nothing stopped."""
    return trained(smoke, tmp_path_factory.mktemp("whole") / "run", 1)


def test_one_and_three_ranks_give_the_same_fitness_table(smoke, whole, tmp_path):
    """-n 1 and -n 3: fitness table, records and controller are bit-identical."""
    rows = [json.loads(line) for line in whole["fitness.jsonl"].splitlines()]
    assert [row["generation"] for row in rows] == [1, 2, 3]
    assert len({value for row in rows for value in row["fitness"]}) > 3, "the table says nothing: all dreams are alike"
    assert trained(smoke, tmp_path / "run", 3) == whole


def test_killed_and_started_again_ends_in_the_same_controller(smoke, whole, tmp_path):
    """kill -9 of the whole job after its first generation; the same command without mpirun ends as if never stopped."""
    cut = trainable(smoke, tmp_path / "cut")
    job = start(ranked(2, "train_controller.py", "doomrnn", "--run", cut, *WORDS))
    table = cut / NAME / "fitness.jsonl"
    kill_when(job, lambda: table.exists() and "\n" in table.read_text())
    time.sleep(1)  # ranks notice that their mpirun is gone
    assert not (cut / NAME / "done.json").exists()
    again = run(python("train_controller.py", "doomrnn", "--run", cut, *WORDS), seconds=300)
    assert again.returncode == 0, again.stderr
    assert results(cut) == whole
