"""What a stage and a controller were made with, and what may be gone on from."""

import dataclasses
import shutil
import sys
from types import SimpleNamespace

import commands
import numpy as np
import pytest
from commands import ROOT, assert_refused, python
from samples import write_episodes

from controller.checkpoints import find_controller
from experiment.checkpoints import save_model
from experiment.errors import InputError
from experiment.files import read_sealed, write_manifest, write_sealed
from experiment.runs import Run
from experiment.stage_folder import finish
from rnn.config import SeriesConfig
from rnn.series import load_series
from vae.model import VAE

CAR = ROOT / "results" / "carracing"
AGENT = "dream-zch-tau1.15-s0"


# --- V and M ---


def test_what_was_made_with_another_v_is_not_used(smoke, tmp_path, inside):
    """V is trained again: with the same settings nothing changes, with others all that follows is refused in turn."""
    run = tmp_path / "run"
    shutil.copytree(smoke.path, run)
    assert set(read_sealed(run / "controller" / AGENT / "begun.json")["made_from"]) == {"vae", "rnn"}
    words, play = ("doomrnn", "--run", run), ("--episodes", 1, "--seed", 3)
    tau = ("--temperature", 1.15)
    shutil.rmtree(run / "vae")
    assert commands.run(python("train_vae.py", *words)).returncode == 0  # inside, the number of threads may be another
    assert "series: already finished" in inside("encode_series.py", *words).stdout
    shutil.rmtree(run / "vae")
    assert inside("train_vae.py", *words, "--set", "vae.learning_rate=0.002").returncode == 0
    another = "made with another V than"
    assert_refused(inside("encode_series.py", *words), 2, f"{run / 'series'}: {another}", f"delete {run / 'series'}")
    for script, more in (("train_rnn.py", ()), ("train_controller.py", tau)):
        assert_refused(inside(script, *words, *more), 2, f"delete {run / 'series'}", "scripts/encode_series.py")
    assert_refused(inside("evaluate.py", *words, *play), 2, f"{run / 'controller' / AGENT}: {another}")
    assert_refused(inside("release.py", "--run", run, "--to", tmp_path / "new"), 2, f"delete {run / 'series'}")
    assert_refused(inside("iterate.py", *words, "--to", tmp_path / "new"), 2, f"delete {run / 'series'}")
    shutil.rmtree(run / "series")
    assert inside("encode_series.py", *words).returncode == 0
    assert_refused(inside("train_rnn.py", *words), 2, f"{run / 'rnn'}: {another}", f"delete {run / 'rnn'} and run the")
    assert_refused(inside("evaluate.py", *words, *play, "--policy", "left", "--world", "dream"), 2, f"{run / 'rnn'}: ")
    shutil.rmtree(run / "rnn")
    assert inside("train_rnn.py", *words).returncode == 0
    refused = inside("train_controller.py", *words, *tau)
    assert_refused(refused, 2, f"delete {run / 'controller' / AGENT} and run the same command again")
    assert_refused(inside("release.py", "--run", run, "--to", tmp_path / "new"), 2, AGENT, another)
    assert not (tmp_path / "new").exists()


def test_dreams_of_other_first_frames_are_others(smoke, tmp_path, inside):
    """Series encoded again with fewer of them: a dream's score is played again, a search in it not gone on with."""
    run = tmp_path / "run"
    shutil.copytree(smoke.path, run)
    play = (
        "evaluate.py",
        "doomrnn",
        "--run",
        run,
        "--policy",
        "left",
        "--episodes",
        2,
        "--seed",
        3,
        "--world",
        "dream",
    )
    assert "left in the dream: " in inside(*play).stdout and "nothing to do" in inside(*play).stdout
    shutil.rmtree(run / "series")
    encoded = inside("encode_series.py", "doomrnn", "--run", run, "--set", "series.initial_frames=2")
    assert encoded.returncode == 0, encoded.stderr
    again = inside(*play)
    assert again.returncode == 0 and "nothing to do" not in again.stdout, again.stderr
    (run / "controller" / AGENT / "done.json").unlink()
    refused = inside("train_controller.py", "doomrnn", "--run", run, "--set", "controller.generations=3")
    assert_refused(refused, 2, f"{run / 'controller' / AGENT}: its dreams started from other first frames than")


def test_what_tells_nothing_is_taken_as_it_is(tmp_path):
    """A record of before this was kept, and weights that are not there; an M other than the recorded one is refused."""
    folder = tmp_path / "controller" / "a"
    folder.mkdir(parents=True)
    for name in ("best.json", "best.npz"):
        (folder / name).write_text("{}")
    write_sealed(folder / "begun.json", {"seed": 0})
    assert find_controller(tmp_path) == folder
    write_sealed(folder / "begun.json", {"seed": 0, "made_from": {"vae": "1" * 64, "rnn": "2" * 64}})
    assert find_controller(tmp_path) == folder
    (tmp_path / "rnn").mkdir()
    (tmp_path / "rnn" / "weights.npz").write_bytes(b"others")
    with pytest.raises(InputError, match=f"another M than {tmp_path / 'rnn'} holds now; delete {folder} and run scr"):
        find_controller(tmp_path)


# --- the series of earlier iterations ---


@dataclasses.dataclass(frozen=True)
class OnlySeries:
    """The settings of a run that has no stage but the series."""

    series: SeriesConfig = SeriesConfig(batch_size=16, shard_episodes=3, initial_frames=2)


@pytest.fixture
def earlier(tmp_path):
    """An iteration where V goes on: encodes its earlier episodes with a V of this seed; returns their series' mu."""
    import encode_series

    before = tmp_path / "before"
    write_episodes(before / "rollouts", [5, 7, 6, 4, 9, 3, 8], striped=True)
    write_manifest(before / "rollouts")
    write_sealed(before / "held_out.json", {"numbers": [0]})

    def encode(seed: int, **settings: int) -> list[np.ndarray]:
        model, stages = VAE(8, seed=seed), OnlySeries(dataclasses.replace(OnlySeries.series, **settings))
        save_model(tmp_path / "vae", "weights", model)
        encode_series.encode_earlier(
            Run(tmp_path, "doomrnn", "smoke", 0, stages), SimpleNamespace(action_size=1), model
        )
        training, held_out = load_series(before / "series", 8, 1)
        return [series.mu for series in held_out + training]

    encode.folder = before / "series"
    return encode


def same(some: list[np.ndarray], others: list[np.ndarray]) -> bool:
    """Whether they are the latents of the same episodes by the same V."""
    return len(some) == len(others) and all(np.array_equal(a, b) for a, b in zip(some, others, strict=True))


def test_another_v_encodes_the_earlier_episodes_anew(earlier):
    """Not those of the same V; a V trained again takes none of the old one's latents, in whatever state they are."""
    first = earlier(1)
    written = {path: path.stat().st_mtime_ns for path in earlier.folder.iterdir()}
    assert len(first) == 7 and same(earlier(1), first)
    assert {path: path.stat().st_mtime_ns for path in earlier.folder.iterdir()} == written
    second = earlier(2)
    assert not any(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    (earlier.folder / "manifest.json").unlink()  # killed on the way
    (earlier.folder / "series-0001.npz").unlink()
    assert same(earlier(1), first)


def test_shards_of_two_sizes_do_not_mix(earlier):
    """Killed after the first shard, and started again with smaller ones: every episode once."""
    first = earlier(1)
    (earlier.folder / "manifest.json").unlink()
    (earlier.folder / "series-0002.npz").unlink()
    assert same(earlier(1, shard_episodes=2), first)
    assert len(list(earlier.folder.glob("series-*.npz"))) == 4


def test_earlier_series_without_a_record(earlier):
    """Whole ones of before it was kept are taken as they are; half of them is encoded again."""
    first = earlier(1)
    (earlier.folder / "begun.json").unlink()
    (earlier.folder / "manifest.json").unlink()
    write_manifest(earlier.folder)
    assert same(earlier(2), first) and not (earlier.folder / "begun.json").exists()
    (earlier.folder / "manifest.json").unlink()
    assert not same(earlier(2), first) and (earlier.folder / "begun.json").exists()


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
    done = inside(*words, "--temperature", 0.5)
    assert_refused(done, 2, "argument --temperature: is of the dream; add --world dream, or leave it out")
    done = inside(*words, "--set", "controller.popsize=8")
    assert_refused(done, 2, "made with other settings (controller.popsize is 64, requested 8);")


def test_v_goes_on_from_another_runs(smoke, tmp_path, inside, monkeypatch):
    """Trained on with hardly any learning rate it is that V still, also where it is resumed and that run is gone."""
    run, first = tmp_path / "run", tmp_path / "first"
    shutil.copytree(smoke.path, first)
    shutil.copytree(smoke.path / "rollouts", run / "rollouts")
    shutil.copyfile(smoke.path / "config.json", run / "config.json")
    words = ("train_vae.py", "doomrnn", "--run", run, "--set")
    assert_refused(inside(*words, "vae.start=nowhere"), 2, "nowhere: no such folder")
    assert_refused(inside(*words, f"vae.start={run}"), 2, f"{run / 'vae' / 'weights.json'}: ", "with a trained V")
    assert_refused(inside(*words, f"vae.start={first}", "--set", "vae.z_size=8"), 2, "z_size 64, not 8")
    assert not (run / "vae").exists()
    slow = ("--set", "vae.learning_rate=1e-9", "--set", "vae.final_learning_rate=1e-9")
    with monkeypatch.context() as patch:  # killed with its first update
        patch.setattr("vae.training.train", lambda *a: sys.exit(137))
        assert inside(*words, f"vae.start={first}", *slow).returncode == 137
    shutil.rmtree(first)
    assert inside(*words[:-1]).returncode == 0
    was, now = (dict(np.load(path / "vae/weights.npz")) for path in (smoke.path, run))
    assert all(np.abs(was[name] - now[name]).max() < 1e-6 for name in was)
    assert any((was[name] != now[name]).any() for name in was)
    assert "already finished" in inside(*words[:-1]).stdout
