"""The run folder: settings that hold once a stage is begun, one worker at a time, records without doubles."""

import argparse
import dataclasses
import importlib
import json
import os
import shutil
import signal
import socket
import sys
from pathlib import Path

import pytest
from commands import python, run, start
from released import AGENT, COLD_AGENT, RELEASE

from controller.checkpoints import find_controller, load_controller
from controller.score_files import load_evaluations
from doomrnn.presets import PRESETS
from experiment.config import override
from experiment.errors import InputError
from experiment.files import read_sealed
from experiment.metrics import Metrics, read_metrics
from experiment.planning import open_run, refuse_other
from experiment.provenance import commit
from experiment.runs import FOLDERS, Run, load_run, save_run
from experiment.stage_folder import finish, finished, working

SMOKE = PRESETS["smoke"].stages


def wanted(path: Path, *words: str, preset: str = "smoke", seed: int = 0, task: str = "doomrnn") -> Run:
    """What a command asks for."""
    return Run(path, task, preset, seed, override(PRESETS[preset].stages, *words))


def ask(path: Path, *words: str, preset: str | None = None, seed: int | None = None, task: str = "doomrnn") -> Run:
    """A command with these ``--set`` words, and ``--preset`` and ``--seed`` where given."""
    explicit = {word.partition("=")[0] for word in words} | ({"seed"} if seed is not None else set())
    asked = wanted(path, *words, preset=preset or "paper", seed=seed or 0, task=task)
    return open_run(path, asked, explicit, preset_given=preset is not None)


def begin(made: Run, stage: str) -> None:
    """Begin a stage and leave it unfinished, with a row."""
    with working(made.folder(stage), {}):
        (made.folder(stage) / "metrics.jsonl").write_text("{}\n")


@pytest.fixture
def path(tmp_path):
    """A run folder to be."""
    return tmp_path / "run"


@pytest.fixture
def resolved():
    """What a script makes of its flags."""
    cli = importlib.import_module("cli")

    def ask(task: str, run: Path, *words: str, preset: str | None = None) -> Run:
        flags = {"task": task, "run": run, "preset": preset, "seed": None, "overrides": list(words)}
        return cli.resolve(argparse.Namespace(**flags))

    return ask


# --- settings -----------------------------------------------------------------------------------------------


def test_a_new_run_is_written_down_in_full(path):
    """config.json holds every setting, the seed, and what it ran on."""
    made = ask(path, "vae.epochs=2", preset="smoke", seed=3)
    stored = json.loads((path / "config.json").read_text())
    assert (stored["task"], stored["preset"], stored["seed"]) == ("doomrnn", "smoke", 3)
    assert stored["stages"] == {name: vars(stage) for name, stage in vars(made.stages).items()}
    assert stored["stages"]["vae"]["epochs"] == 2.0
    assert stored["versions"]["numpy"] and stored["versions"]["python"] and stored["cpu"] and stored["cores"]
    assert stored["overrides"] == {"vae.epochs": 2.0} and stored["threads"] >= 1 and stored["commit"] == commit()
    assert load_run(path, SMOKE) == made
    ask(path, "rnn.epochs=3")
    again = json.loads((path / "config.json").read_text())
    assert again["overrides"] == {"vae.epochs": 2.0, "rnn.epochs": 3.0}
    ask(path)
    assert json.loads((path / "config.json").read_text()) == again


def test_later_commands_need_not_repeat_the_settings(path):
    """Without a preset the stored settings hold, whatever the defaults are."""
    first = ask(path, "vae.epochs=2", preset="smoke", seed=3)
    assert ask(path) == first
    assert ask(path, preset="smoke") == first
    assert ask(path, "vae.epochs=2.0", seed=3) == first


def test_a_word_has_to_fit_the_run_and_not_another_preset(path, resolved):
    """Settings that need one another: what the run holds counts, unless another preset replaces it."""
    save_run(resolved("carracing", path / "quick", preset="quick"))  # of view v3, where `paper` has v0
    env = resolved("carracing", path / "quick", "env.renderer=gymnasium").stages.env
    assert (env.renderer, env.view) == ("gymnasium", "v3")
    save_run(resolved("carracing", path / "release", preset="release"))
    for preset in (None, "release"):
        run = resolved("carracing", path / "release", "controller.first_rollouts=8", preset=preset)
        assert run.stages.controller.full_rollouts_at == 600
    with pytest.raises(InputError, match="full_rollouts_at above 0"):
        resolved("carracing", path / "quick", "controller.first_rollouts=8")
    with pytest.raises(InputError, match="renders the view 'v3' only|'v3'"):
        resolved("carracing", path / "quick", "env.renderer=gymnasium", preset="paper")
    with pytest.raises(InputError, match="belongs to task carracing"):
        resolved("doomrnn", path / "quick", "env.width=320")


def test_a_stage_not_begun_may_still_change(path):
    """The change is stored and all else stays."""
    first = ask(path, preset="smoke")
    begin(first, "collect")
    changed = ask(path, "rnn.epochs=3")
    assert changed.stages.rnn == dataclasses.replace(first.stages.rnn, epochs=3.0)
    assert dataclasses.replace(changed.stages, rnn=first.stages.rnn) == first.stages
    assert ask(path) == changed


@pytest.mark.parametrize(
    ("stage", "word", "difference"),
    [
        ("collect", "collect.max_hold=5", "collect.max_hold is 80, requested 5"),
        ("collect", "env.time_limit=99", "env.time_limit is"),
        ("vae", "vae.z_size=32", "vae.z_size is 64, requested 32"),
        ("series", "series.batch_size=8", "series.batch_size is 64, requested 8"),
        ("rnn", "rnn.hidden_size=8", "rnn.hidden_size is 16, requested 8"),
    ],
)
def test_a_stage_once_begun_holds_its_settings(path, stage, word, difference):
    """The command is refused with the difference, and nothing is changed by it."""
    made = ask(path, preset="smoke")
    begin(made, stage)
    before = (path / "config.json").read_bytes()
    with pytest.raises(InputError) as caught:
        ask(path, word)
    assert difference in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert (path / "config.json").read_bytes() == before


def test_networks_hold_the_settings_of_their_episodes(path):
    """As in a release, whose episodes are left out: others collected there would not be those that V learned from."""
    made = ask(path, preset="smoke")
    begin(made, "vae")
    with pytest.raises(InputError, match=r"collect.max_hold is 80, requested 10"):
        ask(path, "collect.max_hold=10")
    (made.folder("vae") / "done.json").write_text(json.dumps({"imported_from": "theirs"}))
    assert ask(path, "collect.max_hold=10").stages.collect.max_hold == 10


def test_another_preset(path):
    """It replaces the settings of a run that is not begun, and is refused with all differences later."""
    ask(path, preset="smoke", seed=4)
    changed = ask(path, preset="quick")
    assert changed.stages == PRESETS["quick"].stages and changed.preset == "quick" and changed.seed == 4
    begin(changed, "collect")
    with pytest.raises(InputError, match=r"env.time_limit is 2100, requested .*collect.episodes is 1200, requested 6"):
        ask(path, preset="smoke")
    assert ask(path).preset == "quick"


def test_another_seed_or_task(path):
    """A seed may change until the first stage is begun, a task never."""
    made = ask(path, preset="smoke", seed=1)
    assert ask(path, seed=2).seed == 2
    begin(made, "collect")
    with pytest.raises(InputError, match="seed is 2, requested 5"):
        ask(path, seed=5)
    assert ask(path).seed == 2
    with pytest.raises(InputError, match="belongs to task doomrnn, not carracing"):
        ask(path, task="carracing")


def test_no_run_there(path):
    """Said so, with the command that starts one."""
    with pytest.raises(InputError, match="config.json: not there; run scripts/collect_rollouts.py"):
        load_run(path, SMOKE)
    assert not path.exists()


def test_a_stage_is_finished_by_its_last_file(path):
    """`done.json` and nothing else says so."""
    folder = path / FOLDERS["vae"]
    with working(folder, {"vae": {"z_size": 64}}):
        assert finished(folder) is None
        assert read_sealed(folder / "begun.json") == {"vae": {"z_size": 64}}
        finish(folder, {"updates": 3})
    assert finished(folder) == {"updates": 3}


# --- one worker at a time -----------------------------------------------------------------------------------

HOLDER = """
import sys, time
from pathlib import Path
from experiment.stage_folder import working
with working(Path(sys.argv[1]), {}):
    print("at work", flush=True)
    time.sleep(60)
"""


def test_a_second_worker_is_refused_at_once(path):
    """It is told who is at work; a worker that was killed leaves the way free, and its temporary files are removed."""
    made = ask(path, preset="smoke")
    folder = made.folder("collect")
    holder = start([sys.executable, "-c", HOLDER, str(folder)])
    try:
        assert holder.stdout.readline() == "at work\n"
        with pytest.raises(InputError) as caught, working(folder, {}):
            pytest.fail("two at work in one folder")
        assert holder.poll() is None  # it was not waited for
        assert f"process {holder.pid} on {socket.gethostname()} is using it" in str(caught.value)
        done = run(python("collect_rollouts.py", "doomrnn", "--run", path))
        assert done.returncode == 2 and done.stderr.count("\n") == 1
        assert f"process {holder.pid} on {socket.gethostname()}" in done.stderr
    finally:
        os.killpg(holder.pid, signal.SIGKILL)
        holder.communicate()
    half_written = folder / ".episode-000000.npz.abc123.tmp"
    half_written.write_bytes(b"cut off")
    with working(folder, {}):
        assert not half_written.exists()


def test_an_error_frees_the_folder(path):
    """Whatever ends the work, the next worker may begin."""
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"), working(path, {}):
            raise RuntimeError("broken")


# --- records ------------------------------------------------------------------------------------------------


def test_metrics_are_cut_back_on_resume(path):
    """A step stands once, wherever the training was stopped, and a line cut off by a kill is forgotten."""
    path.mkdir()
    metrics = Metrics(path)
    for step in (1, 2, 3):
        metrics.log(step, {"loss": 1 / step}, {"rate": 5.0})
    with open(path / "metrics.jsonl", "a") as file:
        file.write('{"step": 4, "lo')
    again = Metrics(path, 2)
    again.log(3, {"loss": 0.25})
    rows = read_metrics(path)
    assert rows == [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.5}, {"step": 3, "loss": 0.25}]
    assert [row["step"] for row in read_metrics(path, "timing.jsonl")] == [1, 2]
    assert "rate" in read_metrics(path, "timing.jsonl")[0] and "time" in read_metrics(path, "timing.jsonl")[0]
    assert list((path / "tensorboard").glob("events.*"))


def test_timing_stays_out_of_the_metrics(path):
    """metrics.jsonl of two equal trainings are equal byte for byte."""
    files = []
    for name, rate in (("a", 1.0), ("b", 2.0)):
        (path / name).mkdir(parents=True)
        Metrics(path / name).log(1, {"loss": 0.1}, {"rate": rate})
        files.append((path / name / "metrics.jsonl").read_bytes())
    assert files[0] == files[1]


def test_a_controller_once_begun_holds_its_settings(path):
    """What decides a training is refused with the difference; what does not, may change."""
    record = {"controller": {"rollouts": 16, "generations": 15}, "seed": 0}
    refuse_other(path, record, ())
    begin_with = {"controller": {"rollouts": 16, "generations": 30}, "seed": 0}
    with working(path, record):
        (path / "fitness.jsonl").write_text("{}\n")
    refuse_other(path, begin_with, ("controller.generations",))
    with pytest.raises(InputError, match=r"controller.generations is 15, requested 30\); --set them back"):
        refuse_other(path, begin_with, ())
    with pytest.raises(InputError, match=r"\(seed is 0, requested 1\)"):
        refuse_other(path, record | {"seed": 1}, ())


def test_files_of_other_programs(tmp_path):
    """A notebook's checkpoints and a Mac's second files are neither controllers nor scores nor recordings."""
    folder = tmp_path / "run"
    for name in (AGENT, ".ipynb_checkpoints"):
        shutil.copytree(RELEASE / "controller" / AGENT, folder / "controller" / name)
    (folder / "evaluation").mkdir()
    name = "real-left-seed7-n100.json"
    shutil.copy(RELEASE / "evaluation" / name, folder / "evaluation")
    (folder / "evaluation" / f"._{name}").write_bytes(b"\0\5\x16\7")
    assert find_controller(folder).name == AGENT
    assert [e.file_name for e in load_evaluations(folder / "evaluation")] == [name]


def test_a_controller_that_is_not_there(tmp_path, inside):
    """Those that are there are named, and nobody is told to fetch the release again."""
    there = f"holds no controller '.*'; there are: {COLD_AGENT}, {AGENT}"
    for name in ("dream-zch", "", "best"):
        with pytest.raises(InputError, match=there):
            find_controller(RELEASE, name)
    with pytest.raises(InputError, match="checkpoint 'bset': one of best, last"):
        load_controller(find_controller(RELEASE, COLD_AGENT), "bset")
    done = inside("evaluate.py", "doomrnn", "--run", RELEASE, "--controller", "best", "--to", tmp_path)
    assert done.returncode == 2 and f"holds no controller 'best'; there are: {COLD_AGENT}" in done.stderr
