"""The whole pipeline on the real game: its table, the same command again, other temperatures, and its dream probed."""

import json
import shutil

from commands import assert_refused


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


def test_a_finished_run_is_left_alone(smoke, in_one_process):
    """The same command does nothing, and says so of every stage."""
    before = {path: path.stat().st_mtime_ns for path in smoke.path.rglob("*.npz")}
    again = in_one_process("reproduce.py", "doomrnn", "--preset", "smoke", "--run", smoke.path, "--ranks", 1)
    assert again.returncode == 0, again.stderr
    for stage in ("rollouts", "vae", "series", "rnn"):
        assert f"{stage}: already finished" in again.stdout
    assert "nothing to do" in again.stdout
    assert {path: path.stat().st_mtime_ns for path in smoke.path.rglob("*.npz")} == before


def test_several_temperatures(smoke, tmp_path, in_one_process):
    """A dream each, probed; the agent of the run's own temperature in the others' dreams; a table with a row each."""
    path = tmp_path / "run"
    shutil.copytree(smoke.path, path)
    words = ("--ranks", 1, "--temperature", 0.5, 1.15)
    done = in_one_process("reproduce.py", "doomrnn", "--run", path, *words)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count("The dream, probed") == 2
    there = {file.name for file in (path / "evaluation").iterdir()}
    agents = {name for name in there if name.startswith("dream-dream-zch")}
    assert agents == {
        f"dream-dream-zch-tau{own}-s0-tau{tau}-seed7-n8.json"
        for own, tau in (("1.15", "1.15"), ("0.50", "0.50"), ("1.15", "0.50"))
    }
    assert "real-dream-zch-tau0.50-s0-seed7-n3.json" in there and "dream-stay-tau0.50-seed7-n2.json" in there
    table = done.stdout[done.stdout.index("| temperature ") :].splitlines()
    assert "agent of 1.15 in this dream" in table[0] and "1092 ± 556" in done.stdout
    assert [line.split("|")[1].strip() for line in table[2:4]] == ["0.50", "1.15"]
    assert all(len(line.split("|")) == 6 and "(8)" in line.split("|")[2] for line in table[2:4])


def test_a_dream_is_measured_with_an_agent(smoke, tmp_path, in_one_process):
    """The agent beside the scripts in both worlds, in fewer episodes than the table's; who is not there is named."""
    path, name = tmp_path / "run", "dream-zch-tau1.15-s0"
    shutil.copytree(smoke.path, path)
    measure = ("measure_dream.py", "--run", path)
    done = in_one_process(*measure, "--controller", name, "--episodes", 1, "--ranks", 1)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "The dream, probed: agents and scripted policies in both worlds" in done.stdout
    table = done.stdout[done.stdout.index("| deaths per 100 steps") :]
    for who in (name, "random", "random_hold80", "sweep120"):
        assert f"| {who} " in table, table
    assert (path / "evaluation" / f"dream-{name}-tau1.15-seed7-n1.json").exists()
    sampled = ("--episodes", 1, "--ranks", 1, "--set", "controller.death=sampled")
    done = in_one_process(*measure, *sampled)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "| random " in done.stdout[done.stdout.index("| deaths per 100 steps") :]
    (file,) = (path / "evaluation").glob("dream-random-tau1.15-death=sampled-seed7-n1.json")
    assert json.loads(file.read_text())["settings"] == {"controller.death": "sampled"}
    refused = in_one_process(*measure, "--controller", "other")
    assert_refused(refused, 2, "holds no controller 'other'", name)


def test_the_game_picks_in_warm_dreams_alone(smoke, tmp_path, in_one_process):
    """Below `controller.validate_from` the dream's score picks; the run remembers both settings."""
    path = tmp_path / "run"
    shutil.copytree(smoke.path, path)
    sets = [word for rule in ("validation_games=2", "validate_from=1") for word in ("--set", f"controller.{rule}")]
    for temperature, seed, said in ((1.5, 0, sets), (0.5, 0, ()), (1.5, 1, ()), (0.5, 0, ())):
        words = ("--run", path, "--temperature", temperature, "--seed", seed, *said)
        done = in_one_process("train_controller.py", "doomrnn", *words)
        assert done.returncode == 0, done.stderr
        rows = (path / "controller" / f"dream-zch-tau{temperature:.2f}-s{seed}" / "evaluations.jsonl").read_text()
        picked = [(row["score"] == row.get("real"), "real" in row) for row in map(json.loads, rows.splitlines())]
        assert set(picked) == {(temperature > 1, temperature > 1)}
        told = json.loads((path / "config.json").read_text())["stages"]["controller"]
        assert (told["validation_games"], told["validate_from"]) == (2, 1.0)
    assert "already finished" in done.stdout
