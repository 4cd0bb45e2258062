"""What is refused changes nothing, and the command that is mended afterwards is taken."""

import importlib
import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import cli
import numpy as np
import pytest
from commands import ROOT, assert_refused
from released import PLAY, RELEASE, everything, settings_alone
from running import played
from samples import finish_stage, write_episodes

import rollouts.collecting
from controller.config import ControllerConfig
from controller.score_files import load_evaluations
from experiment.errors import InputError
from experiment.runs import FOLDERS, save_run
from experiment.stage_folder import held_file, is_begun, working
from rollouts.rollout import advice_for_large_weights


def test_an_evaluation_in_other_settings_is_another_one(tmp_path, inside):
    """It leaves the run's settings, and the scores in them, as they are; its file and its label name the difference."""
    folder = settings_alone(tmp_path)
    before = everything(folder)
    words = ("doomrnn", "--run", folder, *PLAY)
    first = inside("evaluate.py", *words)
    assert first.returncode == 0, first.stderr
    other = inside("evaluate.py", *words, "--set", "env.skill=5")
    assert "left in the real (env.skill=5): " in other.stdout
    found = {e.file_name: e for e in load_evaluations(folder / "evaluation")}
    assert set(found) == {"real-left-seed3-n2.json", "real-left-skill=5-seed3-n2.json"}
    assert found["real-left-skill=5-seed3-n2.json"].settings == {"env.skill": 5}
    again = inside("evaluate.py", *words)
    assert "evaluated before" in again.stdout and again.stdout.split(";")[0] == first.stdout.split(";")[0]
    after = everything(folder)
    assert {path: after[path] for path in before} == before
    refused = inside("evaluate.py", *words, "--set", "vae.z_size=9")
    assert_refused(refused, 2, "--set vae.z_size=9: has no effect here, where only env.*, collect.*, ")
    assert {path: everything(folder)[path] for path in before} == before


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (("measure_models.py",), "rnn.hidden_size=7"),
        (("measure_reconstructions.py",), "controller.death=sampled"),
        (("measure_dream.py",), "rnn.hidden_size=7"),
        (("measure_dream.py",), "evaluate.episodes=7"),
        (("evaluate.py", "doomrnn", *PLAY), "controller.popsize=8"),
        (("evaluate.py", "doomrnn", *PLAY), "evaluate.probe_episodes=8"),
        (("evaluate.py", "doomrnn", *PLAY), "controller.temperature=0.5"),
        (("evaluate.py", "doomrnn", *PLAY), "collect.minimum_length=5"),
        (("measure_models.py",), "collect.episodes=3"),
    ],
)
def test_a_setting_that_nobody_reads_is_refused(inside, words, name):
    """In one line, also where the value is the run's own; a field that is none is told as such."""
    before = (RELEASE / "config.json").read_bytes()
    refused = inside(*words, "--run", RELEASE, "--set", name)
    assert_refused(refused, 2, f"--set {name}: has no effect here, where only env.*, ", "leave it out")
    assert_refused(inside(*words, "--run", RELEASE, "--set", "rnn.size=7"), 2, "stage 'rnn' has no field 'size'")
    assert (RELEASE / "config.json").read_bytes() == before


@pytest.mark.parametrize(
    "script", ["evaluate.py", "measure_dream.py", "measure_models.py", "measure_reconstructions.py"]
)
def test_settings_that_are_read_are_taken(script):
    """Those that the pages and the errors of this project name; `setting` knows them all, and so do the scripts."""
    module = importlib.import_module(script.removesuffix(".py"))
    read = played.READ if "models" in script or "reconstructions" in script else module.READ
    words = ["env.time_limit=20", "env.skill=5", "collect.max_hold=10"]
    if read is not played.READ:
        words += ["controller.death=sampled", "controller.precision=bfloat16", "evaluate.games_per_rank=4"]
    run = cli.open_existing(RELEASE, words, read)
    assert run.stages.env.skill == 5 and run.stages.collect.max_hold == 10
    known = {f"{stage}.{name}" for stage, config in vars(run.stages).items() for name in vars(config)}
    assert {name for name in read if not name.endswith(".*")} <= known


def test_an_evaluation_of_another_collecting_policy(tmp_path, inside):
    """Its holds are in its label; the run that collected with others is as it was."""
    folder = settings_alone(tmp_path)
    before = everything(folder)
    words = ("doomrnn", "--run", folder, "--policy", "collector", "--episodes", 1, "--seed", 3)
    done = inside("evaluate.py", *words, "--set", "collect.max_hold=12")
    assert done.returncode == 0 and "random_hold12 in the real: " in done.stdout, done.stderr
    after = everything(folder)
    assert {path: after[path] for path in before} == before


def test_an_evaluation_is_played_once_at_a_time(tmp_path, inside):
    """A second command for the same episodes is refused in one line; for others it plays beside the first."""
    folder = settings_alone(tmp_path)
    words = ("doomrnn", "--run", folder, "--policy", "left", "--episodes", 2)
    with held_file(folder / "evaluation" / "real-left-seed3-n2.jsonl"):
        refused = inside("evaluate.py", *words, "--seed", 3)
        assert_refused(refused, 2, "real-left-seed3-n2.jsonl: another process is using it; wait for it")
        assert inside("evaluate.py", *words, "--seed", 4).returncode == 0
    assert inside("evaluate.py", *words, "--seed", 3).returncode == 0
    assert {path.suffix for path in (folder / "evaluation").iterdir()} == {".json"}


def test_a_preset_that_is_gone_is_said_before_the_work(tmp_path, inside):
    """A user's own task may have lost it since the run was begun; which variants to train is not known then."""
    run = cli.open_existing(settings_alone(tmp_path))
    save_run(replace(run, preset="mine"))
    refused = inside("reproduce.py", "doomrnn", "--run", run.path)
    assert_refused(refused, 2, "made with preset mine, which doomrnn no longer has (paper, authors, ")


@pytest.mark.parametrize(("task", "dreams"), [("carracing", False), ("doomrnn", True)])
def test_a_search_is_told_a_temperature_where_it_dreams(tmp_path, monkeypatch, task, dreams):
    """By `reproduce.py`, with --iterations or without: in the real task `train_controller.py` refuses one."""
    import reproduce
    from running import procedure

    shutil.copy(ROOT / "results" / task / "config.json", tmp_path)
    run, started = cli.open_existing(tmp_path), []
    launcher = SimpleNamespace(ranked=lambda *words: started.append(words), alone=lambda *words: None)
    reproduce.controller(launcher, run, cli.task(task), "zh", 0.7, 0)
    monkeypatch.setattr(procedure, "print_survival", lambda *unused: None)
    whole = procedure.Procedure.__new__(procedure.Procedure)
    whole.launcher, whole.task, whole.folder = launcher, cli.task(task), tmp_path.parent
    whole.learn(run)
    searches = [words for words in started if words[0] == "train_controller.py"]
    assert len(searches) >= 2 and all(("--temperature" in words) == dreams for words in searches)
    assert all("--temperature" not in words for words in started if words[0] == "evaluate.py")


def test_a_release_pins_its_environment(tmp_path, inside):
    """It holds no episodes, yet what is in it was made in one environment."""
    folder = tmp_path / "release"
    shutil.copytree(RELEASE, folder)
    before = everything(folder)
    done = inside("collect_rollouts.py", "doomrnn", "--run", folder, "--set", "env.skill=5")
    assert done.returncode == 2 and "env.skill is 4, requested 5" in done.stderr
    assert everything(folder) == before


def test_a_refused_controller_writes_nothing(tmp_path, inside):
    """Another evaluate_every for a controller begun with 10: the run's settings stay, so does the plain command."""
    folder = tmp_path / "release"
    shutil.copytree(RELEASE, folder)
    before = everything(folder)
    words = ("train_controller.py", "doomrnn", "--run", folder, "--temperature", 0.1)
    done = inside(*words, "--set", "controller.evaluate_every=5")
    assert done.returncode == 2 and "evaluate_every is 10, requested 5" in done.stderr
    assert everything(folder) == before


def test_a_stage_without_a_row_is_not_begun(tmp_path):
    """What was refused inside takes back what began it, also the folder; a row or a checkpoint makes it begun."""
    folder = tmp_path / "run" / FOLDERS["rnn"]
    with pytest.raises(InputError), working(folder, {"rnn": {"batch_size": 9}}):
        (folder / "outcomes.jsonl").write_bytes(b"")
        raise InputError("a batch of 9 is too large")
    assert not (tmp_path / "run").exists()
    with working(folder, {"rnn": {"batch_size": 9}}):
        pass  # killed, say
    assert not is_begun(folder)
    with working(folder, {"rnn": {"batch_size": 3}}):
        assert json.loads((folder / "begun.json").read_text())["rnn"] == {"batch_size": 3}
        (folder / "metrics.jsonl").write_text("{}\n")
    assert is_begun(folder)
    with pytest.raises(InputError), working(folder, {"rnn": {"batch_size": 4}}):
        raise InputError("later")
    assert json.loads((folder / "begun.json").read_text())["rnn"] == {"batch_size": 3}


def test_a_changed_command_is_taken_after_a_refusal(tmp_path, inside):
    """V's batch is larger than the data: the message says so, and the command that follows it is not refused."""

    folder = settings_alone(tmp_path / "run")
    write_episodes(folder / "rollouts", [20, 20, 20])
    finish_stage(folder / "rollouts")
    before = everything(folder)
    done = inside("train_vae.py", "doomrnn", "--run", folder, "--set", "vae.batch_size=4000")
    assert done.returncode == 2 and "fewer than a batch of 4000" in done.stderr
    assert everything(folder) == before and not (folder / "vae").exists()
    done = inside("train_vae.py", "doomrnn", "--run", folder, "--set", "vae.batch_size=5000")
    assert "fewer than a batch of 5000" in done.stderr and "made with other settings" not in done.stderr


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"popsize": 7}, "must be an even number"),
        ({"sigma_init": 1e300}, "must be at most 100"),
        ({"sigma_init": 0.0}, "must be above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_where_they_are_said(values, said):
    """Before any stage is begun with them."""
    with pytest.raises(InputError, match=said):
        ControllerConfig(**values)


def test_episodes_that_are_never_long_enough(tmp_path, inside, monkeypatch):
    """More steps than the time limit has are refused at once; more than anybody survives after many attempts."""
    words = ("collect_rollouts.py", "doomrnn", "--preset", "smoke", "--run", tmp_path / "run")
    done = inside(*words, "--set", "env.time_limit=20", "--set", "collect.minimum_length=21")
    assert done.returncode == 2 and "no episode is longer than env.time_limit, 20" in done.stderr
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(rollouts.collecting, "HOPELESS", 3)
    done = inside(*words, "--set", "env.time_limit=2100", "--set", "collect.minimum_length=2100")
    assert done.returncode == 2, done.stderr
    assert f"{tmp_path / 'run' / 'rollouts'}: none of 3 episodes is 2100 steps long; delete the folder" in done.stderr


def test_a_release_is_never_the_run_itself(tmp_path, inside):
    """Nobody is told to delete the run; and half a release is not left behind."""
    folder = tmp_path / "run"
    shutil.copytree(RELEASE, folder)
    (tmp_path / "link").symlink_to(folder)
    for to in (folder, tmp_path / "link"):
        done = inside("release.py", "--run", folder, "--to", to)
        assert done.returncode == 2 and "is the run itself" in done.stderr and "delete" not in done.stderr
    (folder / "evaluation" / "broken.json").write_text("{}")
    done = inside("release.py", "--run", folder, "--to", tmp_path / "half")
    assert done.returncode == 2 and "broken.json" in done.stderr and not (tmp_path / "half").exists()


def test_wild_weights_are_blamed_on_c():
    """Not on V and M, which are healthy."""

    assert advice_for_large_weights(np.full(3, 0.1, np.float32)) == ""
    assert "smaller controller.sigma_init" in advice_for_large_weights(np.array([0, -1e30], np.float32))
