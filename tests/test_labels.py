"""Monsters and fireballs in an observation, and V's error on them."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from commands import ROOT

from doomrnn.env import TakeCoverGame
from doomrnn.labels import KINDS, LabelledGame, LabelledGames, covered_errors
from doomrnn.presets import PAPER
from experiment.runs import load_run, save_run


def test_labels_change_no_frame_and_find_what_the_frame_shows():
    """The same frames as without; the pixels of fireballs, and no others, are bright in an otherwise dark room."""
    plain, labelled = TakeCoverGame(), LabelledGame()
    covered, bright = np.zeros((len(KINDS), 64, 64)), []
    try:
        assert (plain.reset(5) == labelled.reset(5)).all()
        for step in range(100):
            action = 1.0 if step // 40 % 2 else -1.0
            frame = plain.step(action)[0]
            assert (frame == labelled.step(action)[0]).all()
            coverage = labelled.coverage()
            assert coverage.dtype == np.float32 and coverage.min() >= 0 and coverage.max() <= 1
            assert coverage.sum(axis=0).max() <= 1 + 1e-2  # a pixel shows one thing; rounded to 255 levels each
            covered += coverage
            whole = coverage[list(KINDS).index("fireballs")] > 0.99
            bright += frame[whole].max(axis=1).tolist()
    finally:
        plain.close()
        labelled.close()
    monsters, fireballs = covered
    assert monsters.any() and fireballs.any() and not monsters[:16].any()  # no monster flies
    assert np.mean(bright) > 150


def test_an_episode_ends_without_coverage_of_the_dead():
    """One coverage for each observation, zeros for that of a dead player, and anew with the next episode."""
    games = LabelledGames(time_limit=200)
    try:
        games.reset(0, 0)
        steps, over = 0, False
        while not over:
            result = games.step([0], [0.0])
            steps, over = steps + 1, bool(result.terminated[0] or result.truncated[0])
        assert result.terminated[0] and len(games.coverage) == steps + 1
        assert games.coverage[0].any() and not games.coverage[-1].any()
        games.reset(0, 1)
        assert len(games.coverage) == 1
    finally:
        games.close()


def test_errors_by_what_a_pixel_shows():
    """By hand: two frames, a monster on one whole pixel, a fireball on half of another, and an error on each."""
    frames, reconstructions = np.zeros((2, 64, 64, 3), np.float32), np.zeros((2, 64, 64, 3), np.float32)
    coverage = np.zeros((2, 2, 64, 64), np.float32)
    coverage[0, 0, 3, 4], coverage[1, 1, 5, 6] = 1.0, 0.5
    reconstructions[0, 3, 4] = 0.5  # on the monster
    reconstructions[1, 5, 6] = 1.0  # on what is half a fireball
    found = covered_errors(frames, reconstructions, coverage)
    assert found["frames"] == 2 and found["frame"] == pytest.approx((0.75 + 3.0) / 2)
    assert (found["monsters"], found["fireballs"]) == (0.25, 1.0)
    assert found["elsewhere"] == pytest.approx(0.5 / (2 * 4096 - 1.5))
    assert found["monsters share"] == pytest.approx(1 / 8192)
    assert sum(found[f"{name} share"] for name in (*KINDS, "elsewhere")) == pytest.approx(1)
    assert np.isnan(covered_errors(frames, frames, 0 * coverage)["monsters"])


def test_the_script_measures_a_run_and_refuses_another_task(smoke, inside, tmp_path):
    """By the collecting policy and by an agent; a run of another task, and one without V, say so in a line."""
    file = tmp_path / "found.json"
    done = inside("measure_reconstructions.py", "--run", smoke.path, "--episodes", 1, "--json", file)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert f"squared error of a frame {found['V']['frame']:.2f}" in done.stdout
    assert found["V"]["fireballs"] > found["V"]["elsewhere"] > 0  # a V of 10 updates
    wide, run = tmp_path / "wide", load_run(smoke.path, PAPER)
    shutil.copytree(smoke.path / "vae", wide / "vae")
    env = replace(run.stages.env, width=640)
    save_run(replace(run, path=wide, stages=replace(run.stages, env=env)))
    done = inside("measure_reconstructions.py", "--run", wide, "--episodes", 1, "--json", file)
    assert done.returncode == 0 and env.of_game()["height"] == 480, done.stderr
    done = inside("measure_reconstructions.py", "--run", ROOT / "results" / "quick" / "carracing")
    assert done.returncode == 2 and "belongs to task carracing" in done.stderr
