"""The iterative procedure: a run that goes on from what the agent of another one saw."""

import os

import numpy as np
import pytest
from commands import assert_refused

from rnn.latents import load_series, read_shard
from rnn.training import load_rnn
from vae.episodes import list_episodes, read_episode
from vae.files import read_json

QUICK = ("--set", "collect.episodes=3", "--set", "collect.minimum_length=20", "--set", "rnn.epochs=0.5")


@pytest.fixture(scope="module")
def turned(smoke, tmp_path_factory, request):
    """The folder of the next turn, and what the command said."""
    from commands import python, run

    target = tmp_path_factory.mktemp("runs") / "two"
    done = run(python("iterate.py", "doomrnn", "--run", smoke.path, "--to", target, *QUICK), seconds=200)
    assert done.returncode == 0, done.stderr
    return target, done.stdout


def test_the_next_turn(smoke, turned, inside):
    """The agent's games, the same V, the series of both turns, M from its old weights; the other stages go on."""
    target, said = turned
    assert "next: python scripts/encode_series.py doomrnn" in said
    games = list_episodes(target / "rollouts")
    assert len(games) == 3
    actions = read_episode(games[0], 1).action
    assert len(np.unique(actions)) > len(actions) // 2  # no action is held, as the collecting policy's are
    weights = "vae/weights.npz"
    assert (target / weights).read_bytes() == (smoke.path / weights).read_bytes()
    old = load_rnn(smoke.path / "rnn")
    begun = [variable.numpy() for variable in old.variables]
    with np.load(target / "rnn" / "checkpoint.npz") as checkpoint:
        for number, array in enumerate(begun):
            assert np.array_equal(checkpoint[f"variable-{number:03d}"], array)
        assert checkpoint["counter-update"] == 0
    for script in ("encode_series.py", "train_rnn.py"):
        done = inside(script, "doomrnn", "--run", target)
        assert done.returncode == 0, done.stderr
    before = sum(map(len, load_series(smoke.path / "series", 64, 1)))
    assert sum(map(len, load_series(target / "series", 64, 1))) == before + 3
    linked = target / "series" / "series-before-0000.npz"
    assert os.path.samefile(linked, smoke.path / "series" / "series-0000.npz") and read_shard(linked, 64, 1)
    moved = [
        np.abs(new.numpy() - then).max() for new, then in zip(load_rnn(target / "rnn").variables, begun, strict=True)
    ]
    assert 0 < max(moved) < 0.1  # a few updates of Adam away, no new start


def test_again_it_does_nothing(smoke, turned, inside):
    """Repeated, it leaves everything; with another agent, or as plain collecting, it is refused."""
    target, _ = turned
    done = inside("iterate.py", "doomrnn", "--run", smoke.path, "--to", target, *QUICK)
    assert done.returncode == 0 and "already finished" in done.stdout, done.stderr
    assert_refused(inside("collect_rollouts.py", "doomrnn", "--run", target), 2, "played_by.json", "iterate.py")
    assert set(read_json(target / "played_by.json")) == {"controller", "weights", "crc"}
    last = smoke.path / "controller"
    name = next(path.parent.name for path in last.glob("*/best.json"))
    assert read_json(target / "played_by.json")["controller"] == name


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--to", "{run}"), "another folder"),
        (("--to", "{new}", "--set", "rnn.hidden_size=8"), "must have its size"),
        (("--to", "{new}", "--controller", "nobody"), "nobody"),
    ],
)
def test_bad_input_is_refused(smoke, tmp_path, inside, words, line):
    """One line; the old run is not touched."""
    words = [word.format(run=smoke.path, new=tmp_path / "new") for word in words]
    assert_refused(inside("iterate.py", "doomrnn", "--run", smoke.path, *words), 2, line)
