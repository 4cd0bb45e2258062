"""How CarRacing is driven: measures by hand, and of real games whose state says the same."""

import importlib
import shutil
import sys

import numpy as np
import pytest
from commands import ROOT

from carracing.driving import (
    GENTLE,
    LEAD,
    REVERSALS,
    ROAD,
    SHARP,
    SPIN,
    MeasuredGames,
    by_curvature,
    reversals,
    road_share,
    turns,
)
from carracing.env import CarRacingGame
from carracing.scripted import CarRacingScript
from controller.score_files import load_evaluations
from experiment.files import read_sealed, write_sealed


def test_reversals_by_hand():
    """Left, right, left are two; within the dead zone there is no side."""
    assert reversals(np.array([-1, 1, -1, -0.5])) == 50.0
    assert reversals(np.array([0.05, -0.05, 0.05, -0.05])) == 0.0
    assert reversals(np.array([0.5, 0.01, -0.01, 0.5])) == 0.0


def test_corners_by_hand():
    """A square of 40 tiles with rounded corners of 4: three tiles on either side of a corner's middle see it all."""
    turn = np.zeros(40)
    for corner in (5, 15, 25, 35):
        turn[corner : corner + 4] = np.pi / 8
    headings = np.cumsum(turn)
    assert turns(headings).max() == pytest.approx(np.pi / 2 / 6)
    assert turns(headings)[11] == 0.0
    assert turns(np.linspace(0, 2 * np.pi, 100, endpoint=False)) == pytest.approx(np.full(100, 2 * np.pi / 100))
    visited = np.ones(40, bool)
    visited[5:9] = False
    sharp, gentle = by_curvature(headings, visited)
    assert (sharp, gentle) == (pytest.approx(100 * 24 / 28), 100.0)  # 7 tiles see each corner; 4 of all are missed
    assert by_curvature(np.zeros(10), np.ones(10, bool)) == (100.0, 100.0)


@pytest.mark.parametrize("view", ["v0", "v3"])
def test_the_road_under_the_car(view):
    """Frames tell what the wheels know: on the road or beside it."""
    right = []
    for seed in range(3):
        game = CarRacingGame(view=view)
        game.reset(seed)
        for step, action in enumerate(CarRacingScript("mixed").actions(np.random.default_rng(seed), 300)):
            frame, _, terminated, _ = game.step(action)
            wheels = sum(bool(wheel.tiles) for wheel in game.circuit.car.wheels)
            if step >= LEAD and wheels in (0, 4):
                right.append((road_share(frame[None]) > 0.5) == (wheels == 4))
            if terminated:
                break
        game.close()
    assert len(right) > 300 and np.mean(right) > 0.98


def test_measured_games():
    """They play as the others do; full gas on the straight visits what the return says, a locked wheel spins off."""
    games = MeasuredGames(2, time_limit=150)
    plain = CarRacingGame(time_limit=150)
    first = [games.reset(0, 3), games.reset(1, 4)]
    np.testing.assert_array_equal(first[0], plain.reset(3))
    total, wobble = 0.0, np.array([[0.0, 0.3, 0.0], [0.0, 1.0, 0.0]], np.float32)
    for step in range(150):
        wobble[0, 0] = 0.5 if step % 2 else -0.5
        wobble[1, 0] = 0.0 if step < 60 else 1.0
        steps = games.step([0, 1], wobble)
        frame, reward, _, _ = plain.step(wobble[0])
        total += reward
        np.testing.assert_array_equal(steps.observations[0], frame)
    games.close()
    straight, turned = games.measures[3], games.measures[4]
    assert set(straight) == {REVERSALS, SHARP, GENTLE, SPIN, ROAD}
    assert straight[REVERSALS] == pytest.approx(100 * 149 / 150) and turned[REVERSALS] == 0.0
    assert straight[SPIN] == 0.0 and turned[SPIN] == 1.0 and turned[ROAD] < straight[ROAD]
    road = plain.circuit.road
    sharp = turns(np.array([tile[1] for tile in plain.circuit.track])) > 0.12
    visited = straight[SHARP] / 100 * sharp.sum() + straight[GENTLE] / 100 * (~sharp).sum()
    assert visited == pytest.approx(sum(tile.road_visited for tile in road))
    assert total == pytest.approx(1000 * visited / len(road) - 0.1 * 150, abs=0.01)
    plain.close()


def test_a_dreams_precision_is_the_one_it_is_dreamed_in(tmp_path, monkeypatch, inside):
    """M's own, whatever controller.precision is now; the real task is played in that one."""
    shutil.copytree(ROOT / "results" / "carracing", tmp_path / "run", ignore=shutil.ignore_patterns("measures"))
    stored = read_sealed(tmp_path / "run" / "config.json")
    stored["stages"]["controller"]["precision"] = "bfloat16"
    write_sealed(tmp_path / "run" / "config.json", stored)
    script = importlib.import_module("measure_driving")
    for name in ("in_the_dream", "in_the_game"):
        monkeypatch.setattr(script, name, lambda *played: ({ROAD: [0.5]}, [1000]))
    for world in ("dream", "real"):
        words = ["--run", str(tmp_path / "run"), "--world", world, "--episodes", "1"]
        monkeypatch.setattr(sys, "argv", ["measure_driving.py", *words])
        script.main()
    found = {e.file_name: e.precision for e in load_evaluations(tmp_path / "run" / "measures" / ROAD)}
    assert found == {
        "dream-real-zh-s0-tau0.70-seed7-n1.json": "float32",
        "real-real-zh-s0-bfloat16-seed7-n1.json": "bfloat16",
    }
