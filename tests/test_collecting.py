"""Collecting from the real game: resumed exactly, alike on any number of ranks, refused where the disk is too small."""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT, assert_refused, kill_when, python, ranked, run, start
from samples import leftovers

from controller.score_files import load_evaluations
from doomrnn.scripted import TakeCoverScript
from experiment.errors import InputError
from experiment.random_streams import Purpose
from pendulum.scripted import PendulumScript
from rollouts.collecting import check_disk
from rollouts.scripted import BoxScript
from vae.episodes import list_episodes, read_episode

WORDS = ("--preset", "smoke", "--set", "collect.episodes=8", "--set", "collect.minimum_length=130")


def files(folder: Path) -> dict[str, bytes]:
    """The episodes of a run."""
    return {path.name: path.read_bytes() for path in list_episodes(folder / "rollouts")}


@pytest.fixture(scope="module")
def collected(tmp_path_factory) -> Path:
    """Eight games collected by one process."""
    folder = tmp_path_factory.mktemp("collect") / "one"
    done = run(python("collect_rollouts.py", "doomrnn", "--run", folder, *WORDS))
    assert done.returncode == 0, done.stderr
    return folder


def test_the_first_long_enough_attempts_are_kept(collected):
    """Eight episodes, none shorter than asked, with the script's own actions and one result a step."""
    episodes = list_episodes(collected / "rollouts")
    assert len(episodes) == 8
    for path in episodes:
        episode, attempt = read_episode(path, 1), int(path.stem.split("-")[1])
        rng = Purpose.COLLECT.stream(0, attempt=attempt).generator()
        wanted = TakeCoverScript("random_hold", max_hold=80).actions(rng, 150)[: len(episode)]
        np.testing.assert_array_equal(episode.action, wanted)
        assert 130 <= len(episode) <= 150 and (episode.reward == 1).all()
        ends = episode.terminated | episode.truncated
        assert ends[-1] and not ends[:-1].any()
        assert episode.truncated[-1] == (len(episode) == 150 and not episode.terminated[-1])


def test_two_ranks_collect_the_same_files(collected, tmp_path):
    """Whoever played them."""
    done = run(ranked(2, "collect_rollouts.py", "doomrnn", "--run", tmp_path / "two", *WORDS))
    assert done.returncode == 0, done.stderr
    assert files(tmp_path / "two") == files(collected)


def test_what_was_lost_is_played_again(collected, tmp_path):
    """Files deleted, half of the record gone and the stage not finished: the same command makes the same episodes."""
    folder = tmp_path / "again"
    shutil.copytree(collected, folder)
    (folder / "rollouts" / "done.json").unlink()
    for path in list_episodes(folder / "rollouts")[1::2]:
        path.unlink()
    (folder / "rollouts" / "episode-000999.npz").write_bytes(b"of an attempt that was never recorded")
    record = folder / "rollouts" / "attempts.jsonl"
    record.write_text(record.read_text()[: len(record.read_text()) * 2 // 3])
    done = run(python("collect_rollouts.py", "doomrnn", "--run", folder))
    assert done.returncode == 0, done.stderr
    assert files(folder) == files(collected)


def test_a_disk_that_is_too_small_is_refused(tmp_path, monkeypatch):
    """The forecast is episodes x frames x bytes; with less than that free nothing is begun."""
    free = shutil.disk_usage(tmp_path)._replace(free=1000 * 330 * 4700 - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(InputError, match=r"1000 episodes need about 1\.6 GB and 1\.6 GB are free"):
        check_disk(tmp_path, 1000, 4700, 330)
    assert check_disk(tmp_path, 999, 4700, 330) == 999 * 330 * 4700


def test_a_refused_forecast_leaves_the_way_open(tmp_path, monkeypatch, inside):
    """Nothing is begun, and the advice can be followed: fewer episodes of the same run are collected."""
    free = shutil.disk_usage(tmp_path)._replace(free=4_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    folder = tmp_path / "run"
    assert_refused(inside("collect_rollouts.py", "doomrnn", "--run", folder, *WORDS), 2, "8 episodes need", "make room")
    assert not folder.exists()
    done = inside("collect_rollouts.py", "doomrnn", "--run", folder, *WORDS, "--set", "collect.episodes=2")
    assert done.returncode == 0 and len(list_episodes(folder / "rollouts")) == 2


def test_killed_in_the_middle_and_started_again(collected, tmp_path):
    """kill -9 of a job on two ranks; one process then goes on, and the files are those of a job never stopped."""
    folder = tmp_path / "killed"
    job = start(ranked(2, "collect_rollouts.py", "doomrnn", "--run", folder, *WORDS))
    kill_when(job, lambda: len(list(folder.glob("rollouts/episode-*.npz"))) >= 2)
    time.sleep(1)  # ranks notice that their mpirun is gone
    assert not (folder / "rollouts" / "done.json").exists()
    done = run(python("collect_rollouts.py", "doomrnn", "--run", folder))
    assert done.returncode == 0, done.stderr
    assert files(folder) == files(collected) and leftovers(folder) == []


def test_a_collecting_policy_is_named_by_its_hold(tmp_path, inside):
    """Torques held for 2 steps score otherwise than those held for 10: neither answers for the other."""
    assert PendulumScript("random_hold").label == BoxScript("random_hold").label == "random_hold"
    assert [kind("random_hold", max_hold=4).label for kind in (PendulumScript, BoxScript)] == ["random_hold4"] * 2
    assert PendulumScript("sweep").label == "sweep22" and PendulumScript("stay", max_hold=4).label == "stay"
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(ROOT / "results" / "pendulum" / "seed-0" / "iteration-01" / "config.json", folder)
    words = ("evaluate.py", "pendulum", "--run", folder, "--policy", "collector", "--episodes", 2, "--seed", 3)
    for hold in (10, 2):
        done = inside(*words, "--set", f"collect.max_hold={hold}")
        assert done.returncode == 0 and "evaluated before" not in done.stdout, done.stderr
    found = {e.file_name: e.scores for e in load_evaluations(folder / "evaluation")}
    assert set(found) == {"real-random_hold-seed3-n2.json", "real-random_hold2-seed3-n2.json"}
    assert len({tuple(scores) for scores in found.values()}) == 2
