"""The same controller however many ranks train it, and however often it was stopped."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

from commands import python, ranked, run, start

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


def test_one_and_three_ranks_give_the_same_fitness_table(smoke, tmp_path):
    """-n 1 and -n 3: fitness table, records and controller are bit-identical."""
    found = []
    for ranks in (1, 3):
        folder = trainable(smoke, tmp_path / str(ranks))
        done = run(ranked(ranks, "train_controller.py", "doomrnn", "--run", folder, *WORDS), seconds=300)
        assert done.returncode == 0, done.stderr
        found.append(results(folder))
    rows = [json.loads(line) for line in found[0]["fitness.jsonl"].splitlines()]
    assert [row["generation"] for row in rows] == [1, 2, 3]
    assert len({value for row in rows for value in row["fitness"]}) > 3, "the table says nothing: all dreams are alike"
    assert found[0] == found[1]


def test_killed_and_started_again_ends_in_the_same_controller(smoke, tmp_path):
    """kill -9 of the whole job after its first generation; the same command on fewer ranks ends as if never stopped."""
    whole = trainable(smoke, tmp_path / "whole")
    done = run(python("train_controller.py", "doomrnn", "--run", whole, *WORDS), seconds=300)
    assert done.returncode == 0, done.stderr
    cut = trainable(smoke, tmp_path / "cut")
    job = start(ranked(2, "train_controller.py", "doomrnn", "--run", cut, *WORDS))
    table = cut / NAME / "fitness.jsonl"
    deadline = time.monotonic() + 120
    while not (table.exists() and table.read_text().count("\n") >= 1) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(job.pid, signal.SIGKILL)
    job.communicate(timeout=30)
    time.sleep(1)  # ranks notice that their mpirun is gone
    again = run(python("train_controller.py", "doomrnn", "--run", cut, *WORDS), seconds=300)
    assert again.returncode == 0, again.stderr
    assert results(cut) == results(whole)
