"""The whole pipeline on the real game: its table, and the same command again."""

import json

from commands import python, run


def test_the_pipeline_ends_in_a_table(smoke):
    """Agent and baselines in both worlds, the paper's rows beside them, and a test against each baseline."""
    assert "| dream-zch-tau1.15-s0" in smoke.output
    for who in ("random ", "random_hold", "stay", "left", "right", "sweep120"):
        assert f"| {who}" in smoke.output
    assert "1092 ± 556" in smoke.output
    assert "is not shown to beat random in the real task" in smoke.output and "3 of 100 episodes" in smoke.output
    assert "| deaths per 100 steps" in smoke.output and "| random_hold80 " in smoke.output


def test_evaluations_have_the_published_form(smoke):
    """Every score file says who played what, where and how well."""
    files = sorted((smoke.path / "evaluation").glob("*.json"))
    assert any(file.name.startswith("real-dream-zch-tau1.15-s0-seed7-n") for file in files)
    for file in files:
        values = json.loads(file.read_text())
        assert {
            "task",
            "world",
            "policy",
            "controller",
            "temperature",
            "episodes",
            "seed",
            "mean",
            "std",
            "ci95",
        } <= set(values)
        assert len(values["scores"]) == len(values["lengths"]) == values["episodes"]
        assert abs(sum(values["scores"]) / values["episodes"] - values["mean"]) < 1e-9


def test_a_finished_run_is_left_alone(smoke):
    """The same command does nothing, and says so of every stage."""
    before = {path: path.stat().st_mtime_ns for path in smoke.path.rglob("*.npz")}
    again = run(python("reproduce.py", "doomrnn", "--preset", "smoke", "--run", smoke.path, "--ranks", 1), seconds=300)
    assert again.returncode == 0, again.stderr
    for stage in ("rollouts", "vae", "series", "rnn"):
        assert f"{stage}: already finished" in again.stdout
    assert "nothing to do" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in smoke.path.rglob("*.npz")} == before
