"""CarRacing from collecting to its table, and a controller trained in its own dream; tiny."""

import json

import numpy as np

from controller.training import ControllerTrainer, scores_by_steps
from vae.episodes import list_episodes, read_episode


def test_iterations_in_the_real_task(tmp_path, in_one_process):
    """C learns in the real task in every iteration: a table, which has no dream's scores."""
    words = ("carracing", "--preset", "smoke", "--run", tmp_path, "--iterations", 2, "--ranks", 1)
    done = in_one_process("reproduce.py", *words)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    rows = json.loads((tmp_path / "iterations.json").read_text())["iterations"]
    assert [row["dream"] for row in rows] == [[None], [None]] and np.isfinite([row["real"] for row in rows]).all()
    assert "| 2 " in done.stdout and (tmp_path / "iterations.png").exists()


def test_from_collecting_to_the_table(tmp_path, in_one_process, monkeypatch):
    """Every stage, then the dream with its reward head."""
    path = tmp_path / "car"
    done = in_one_process("reproduce.py", "carracing", "--preset", "smoke", "--run", path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    table = done.stdout[done.stdout.index("carracing, preset smoke: return") :]
    for words in ("| policy", "| real-zh-s0 ", "| random ", "| paper, V and M (zh, 867) ", "906 ± 21"):
        assert words in table, table
    assert "real-zh-s0 is not shown to beat random" in table and "| deaths" not in table
    assert "dream" not in table
    episodes = [read_episode(file, 3) for file in list_episodes(path / "rollouts")]
    assert [len(episode) for episode in episodes] == [40] * 6  # recorded to the last frame
    assert all(episode.truncated[-1] and not episode.terminated.any() for episode in episodes)
    assert len({episode.action.tobytes() for episode in episodes}) == 6

    steps, scores = scores_by_steps(path / "controller" / "real-zh-s0")
    assert steps == [160, 320]  # 4 candidates, 2 rollouts of 20 steps
    assert len(scores) == 2 and np.isfinite(scores).all()

    words = ("carracing", "--run", path)
    on = ("--set", "controller.generations=3", "--set", "controller.precision=bfloat16")  # as on another type of CPU
    with monkeypatch.context() as patch:
        patch.setattr(ControllerTrainer, "run", lambda self: (_ for _ in ()).throw(OSError(28, "No space left")))
        assert in_one_process("train_controller.py", *words, *on).returncode == 1
    assert not (path / "controller" / "real-zh-s0" / "done.json").exists()  # a longer search that did not end
    continued = in_one_process("train_controller.py", *words, *on)
    assert continued.returncode == 0, continued.stderr
    assert scores_by_steps(path / "controller" / "real-zh-s0")[0][:2] == [160, 320]

    trained = in_one_process("train_controller.py", *words, "--world", "dream")
    assert trained.returncode == 0, trained.stderr
    there = ("--controller", "dream-zh-tau0.70-s0", "--world", "dream")
    dreamt = in_one_process("evaluate.py", *words, *there, "--episodes", 5)
    assert dreamt.returncode == 0, dreamt.stderr
    assert scores_by_steps(path / "controller" / "dream-zh-tau0.70-s0") == ([], [])
    (file,) = (path / "evaluation").glob("dream-dream-zh-tau0.70-s0-tau0.70-*.json")
    found = json.loads(file.read_text())
    assert found["lengths"] == [40] * 5 and len(set(found["scores"])) == 5 and np.isfinite(found["scores"]).all()

    back = in_one_process("train_controller.py", *words, "--set", "controller.precision=float32")
    assert back.returncode == 0 and "nothing to do" in back.stdout, back.stderr
    name = ("--controller", "real-zh-s0")
    driven = in_one_process("measure_driving.py", "--run", path, *name, "--episodes", 2)
    assert driven.returncode == 0, driven.stderr
    released_at = tmp_path / "released"
    released = in_one_process("release.py", "--run", path, "--to", released_at)
    assert released.returncode == 0, released.stderr
    files = [sorted(p.relative_to(at).as_posix() for p in at.glob("measures/*/*.json")) for at in (path, released_at)]
    assert files[0] == files[1] != []
    stored = json.loads((released_at / "config.json").read_text())["stages"]["controller"]
    assert stored["precision"] == "float32" and stored["generations"] == 3
