"""What a stage and a controller were made with, and what may be gone on from."""

import shutil

from commands import ROOT, assert_refused

from experiment.runs import finish

CAR = ROOT / "results" / "carracing"


# --- controllers ---


def test_a_search_in_the_real_task_reads_no_temperature(tmp_path, inside):
    """Another one, as a run whose dreams are of it has, is not a difference; another popsize is."""
    shutil.copytree(CAR, tmp_path / "run")
    folder = tmp_path / "run" / "controller" / "real-z-s0"
    finish(folder, {"generations": 1, "best_generation": 1, "best_score": 5.0})
    words = ("train_controller.py", "carracing", "--run", tmp_path / "run", "--variant", "z")
    own = ("generations=1", "max_steps=20000000", "stall_limit=40", "first_rollouts=4", "full_rollouts_at=600")
    words += tuple(word for value in own for word in ("--set", f"controller.{value}"))
    done = inside(*words, "--set", "controller.temperature=0.5")
    assert done.returncode == 0 and "already finished; nothing to do" in done.stdout, done.stderr
    done = inside(*words, "--temperature", 0.5, "--set", "controller.popsize=8")
    assert_refused(done, 2, "made with other settings (controller.popsize is 64, requested 8);")
