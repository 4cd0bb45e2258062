"""The iterative procedure: a run that goes on from what the agent of another one saw."""

import os
import shlex
import shutil
from dataclasses import replace

import numpy as np
import pytest
from commands import assert_refused, killed_at, python, ranked, run

import rnn.training
from controller.checkpoints import load_candidates, load_controller, load_means
from controller.config import IterateConfig
from controller.iteration import who_plays
from doomrnn.presets import PAPER
from experiment.checkpoints import save_model
from experiment.errors import command
from experiment.files import read_sealed, write_sealed
from experiment.runs import load_run, save_run
from rnn.series import load_series
from rnn.training import load_rnn
from vae.episodes import list_episodes, read_episode
from vae.training import load_vae

FEW = ("--set", "collect.episodes=3", "--set", "collect.minimum_length=20", "--set", "rnn.epochs=0.5")


@pytest.fixture(scope="module")
def iteration(smoke, tmp_path_factory):
    """The folder of the smoke run's next iteration, on two ranks, and what the command said."""
    target = tmp_path_factory.mktemp("runs") / "two"
    words = ranked(2, "iterate.py", "doomrnn", "--run", smoke.path, "--to", target, *FEW)
    done = run(words, seconds=200)
    assert done.returncode == 0, done.stderr
    return target, done.stdout


@pytest.fixture(scope="module")
def trained(iteration, tmp_path_factory):
    """The same, its series encoded and its M trained."""
    target = tmp_path_factory.mktemp("runs") / "trained"
    shutil.copytree(iteration[0], target)
    for script in ("encode_series.py", "train_rnn.py"):
        done = run(python(script, "doomrnn", "--run", target), seconds=200)
        assert done.returncode == 0, done.stderr
    return target


def test_the_next_iteration(smoke, iteration, tmp_path, inside, monkeypatch):
    """The agent's episodes, the same V, the series of both iterations, M from its old weights; the rest continues."""
    begun, said = iteration
    target = tmp_path / "two"
    shutil.copytree(begun, target)
    assert "next: python scripts/encode_series.py doomrnn" in said
    episodes = list_episodes(target / "rollouts")
    actions = read_episode(episodes[0], 1).action
    assert (
        len(episodes) == 3 and len(np.unique(actions)) > len(actions) // 2
    )  # no action is held: not the script's episodes
    assert (target / "vae" / "weights.npz").read_bytes() == (smoke.path / "vae" / "weights.npz").read_bytes()
    assert os.path.samefile(begun / "before/series/series-0000.npz", smoke.path / "series/series-0000.npz")
    began = []
    model = rnn.training.RNNTrainer.__init__
    monkeypatch.setattr(
        rnn.training.RNNTrainer,
        "__init__",
        lambda self, m, config: (began.append([v.numpy() for v in m.variables]), model(self, m, config))[1],
    )
    given = []
    batches = rnn.training.make_batches
    monkeypatch.setattr(rnn.training, "make_batches", lambda s, *rest: (given.append(len(s)), batches(s, *rest))[1])
    for script in ("encode_series.py", "train_rnn.py"):
        done = inside(script, "doomrnn", "--run", target)
        assert done.returncode == 0, done.stderr
    old = [variable.numpy() for variable in load_rnn(smoke.path / "rnn").variables]
    assert all(np.array_equal(a, b) for a, b in zip(began[0], old, strict=True))
    mine, theirs = (len(load_series(path / "series", 64, 1)[0]) for path in (target, smoke.path))
    assert given == [mine + theirs]
    new = [variable.numpy() for variable in load_rnn(target / "rnn").variables]
    assert max(np.abs(a - b).max() for a, b in zip(new, old, strict=True)) > 0


def test_an_iteration_of_an_iteration(trained, smoke, tmp_path, inside):
    """It holds the series of both runs before it."""
    second = tmp_path / "second"
    shutil.copytree(trained, second)
    shutil.copytree(smoke.path / "controller", second / "controller")
    folder = second / "controller" / "dream-zch-tau1.15-s0"
    refused = inside("iterate.py", "doomrnn", "--run", second, "--to", tmp_path / "third", *FEW)
    assert_refused(refused, 2, f"{folder}: made with another M than {second / 'rnn'} holds now; delete {folder}")
    (folder / "manifest.json").unlink()
    record = read_sealed(folder / "begun.json")
    write_sealed(folder / "begun.json", {k: v for k, v in record.items() if k != "made_from"})  # as an older one
    done = inside("iterate.py", "doomrnn", "--run", second, "--to", tmp_path / "third", *FEW)
    assert done.returncode == 0, done.stderr
    runs = second, second / "before", tmp_path / "third" / "before"
    counts = [len(list((path / "series").glob("series-*.npz"))) for path in runs]
    assert counts[2] == counts[0] + counts[1] > counts[0]


def test_again_it_does_nothing(smoke, iteration, inside):
    """Repeated, it leaves everything as it is; a stage that is finished is passed over whoever asks."""
    target, _ = iteration
    done = inside("iterate.py", "doomrnn", "--run", smoke.path, "--to", target, *FEW)
    assert done.returncode == 0 and "already finished" in done.stdout, done.stderr
    done = inside("collect_rollouts.py", "doomrnn", "--run", target)
    assert done.returncode == 0 and "already finished" in done.stdout, done.stderr
    signed = read_sealed(target / "before" / "played_by.json")
    assert set(signed) - {"crc"} == {"controller", "weights", "vae", "rnn", "candidates", "means", "run"}


def test_unfinished_episodes_are_not_taken_for_all(smoke, iteration, tmp_path, inside):
    """Neither encoded, nor gone on with by the collecting policy; both say what to do."""
    half = tmp_path / "half"
    shutil.copytree(iteration[0], half)
    (half / "rollouts" / "done.json").unlink()
    shutil.rmtree(half / "series", ignore_errors=True)
    old = os.path.relpath(smoke.path, iteration[0])  # kept so, since both may be moved together
    words = ("doomrnn", "--run", os.path.normpath(half / old), "--to", half, "--controller", "dream-zch-tau1.15-s0")
    for script in ("encode_series.py", "collect_rollouts.py"):
        refused = inside(script, "doomrnn", "--run", half)
        assert_refused(refused, 2, command("scripts/iterate.py", *words))
    moved = half.rename(iteration[0].with_name("half"))
    refused = inside("collect_rollouts.py", "doomrnn", "--run", moved)
    said = shlex.split(refused.stderr.partition("go on with ")[2])
    done = inside(said[0].removeprefix("scripts/"), *said[1:])
    assert done.returncode == 0 and (moved / "rollouts" / "done.json").exists(), done.stderr
    signed = read_sealed(moved / "before" / "played_by.json")
    write_sealed(moved / "before" / "played_by.json", {k: v for k, v in signed.items() if k != "run"})  # an old one
    (moved / "rollouts" / "done.json").unlink()
    assert_refused(inside("collect_rollouts.py", "doomrnn", "--run", moved), 2, "--run OLD --to")


def test_a_frozen_v_is_no_other_one(iteration, tmp_path, inside):
    """It is not trained in the iteration, and another one put in its place does not mix with the earlier series."""
    other = tmp_path / "other"
    shutil.copytree(iteration[0], other)
    shutil.rmtree(other / "series", ignore_errors=True)
    shutil.rmtree(other / "rnn", ignore_errors=True)
    kept, model = other / "vae", load_vae(other / "vae")
    shutil.rmtree(kept)
    assert_refused(inside("train_vae.py", "doomrnn", "--run", other), 2, "frozen; copy it from the run before")
    shutil.copytree(iteration[0] / "vae", kept)
    model.mu_layer.bias.assign_add(np.ones(64, np.float32))
    (kept / "manifest.json").unlink()
    save_model(kept, "weights", model)
    assert inside("encode_series.py", "doomrnn", "--run", other).returncode == 0
    refused = inside("train_rnn.py", "doomrnn", "--run", other)
    assert_refused(refused, 2, f"{other / 'before' / 'series'}: made with another V", "begin the iteration again")


def test_a_failure_leaves_nothing(smoke, tmp_path, inside, monkeypatch):
    """A disk that fills up while the run is made: one line, and no half of a run."""
    import controller.iteration

    def full(files, target):
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(controller.iteration, "copy_files", full)
    done = inside("iterate.py", "doomrnn", "--run", smoke.path, "--to", tmp_path / "new", *FEW)
    assert_refused(done, 1, "No space left")
    assert not list(tmp_path.iterdir())


def test_a_kill_leaves_nothing_for_good(smoke, tmp_path, inside):
    """What it had linked would stay on the disk after the old run is deleted: the next command removes it."""
    words = ("iterate.py", "doomrnn", "--run", smoke.path, "--to", tmp_path / "new", *FEW)
    killed_at("controller.iteration", "open_run", *words)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_nlink > 1]
    assert kept and not (tmp_path / "new").exists()
    done = inside(*words)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("--to", "{run}"), "already exists, and is no iteration"),
        (("--to", "{new}", "--set", "rnn.hidden_size=8"), "rnn.hidden_size=8: is 16"),
        (("--to", "{new}", "--set", "vae.z_size=8"), "vae.z_size=8: is 64"),
        (("--to", "{new}", "--controller", "nobody"), "nobody"),
        (("--to", "{iteration}", "--set", "collect.episodes=4"), "collect.episodes is 3, requested 4"),
        (("--to", "{iteration}", "--set", "iterate.explore_noise=1"), "iterate.explore_noise is 0.3, requested 1.0"),
        (("--to", "{iteration}", "--seed", "9"), "seed is 1, requested 9"),
    ],
)
def test_bad_input_is_refused(smoke, iteration, tmp_path, inside, words, line):
    """One line, and nothing is written."""
    words = [word.format(run=smoke.path, new=tmp_path / "new", iteration=iteration[0]) for word in words]
    assert_refused(inside("iterate.py", "doomrnn", "--run", smoke.path, *words), 2, line)
    assert not list(tmp_path.iterdir())


def test_another_agent_is_refused(smoke, iteration, tmp_path, inside):
    """Games of two agents are not mixed."""
    other = tmp_path / "other"
    shutil.copytree(smoke.path, other)
    folder = next((other / "controller").iterdir())
    for kind in ("npz", "json"):
        shutil.copy(folder / f"best.{kind}", folder / f"x.{kind}")
    with np.load(folder / "best.npz") as arrays:
        np.savez(folder / "best.npz", weights=arrays["weights"] + 1)
    (folder / "manifest.json").unlink()
    done = inside("iterate.py", "doomrnn", "--run", other, "--to", iteration[0], *FEW)
    assert_refused(done, 2, "another agent plays there")


def test_other_explorers_are_refused(smoke, iteration, tmp_path, inside):
    """Where candidates play they are those of the beginning; where none does, a search may go on and leave others."""
    other, there = tmp_path / "other", tmp_path / "there"
    shutil.copytree(smoke.path, other)
    shutil.copytree(iteration[0], there)
    folder = next((other / "controller").iterdir())
    (folder / "manifest.json").unlink(missing_ok=True)
    with np.load(folder / "candidates.npz") as arrays:
        np.savez(folder / "candidates.npz", weights=arrays["weights"] + 1)
    words = ("iterate.py", "doomrnn", "--run", other, "--to", there, *FEW)
    assert inside(*words).returncode == 0
    run = load_run(there, PAPER)
    save_run(replace(run, stages=replace(run.stages, iterate=replace(run.stages.iterate, candidates=2))))
    assert_refused(inside(*words), 2, "another agent plays there")


def test_who_explores(smoke):
    """The agent or its search's candidates, and with `means` the latest means that were evaluated, in turn."""
    folder = next((smoke.path / "controller").iterdir())
    weights = load_controller(folder, "best")[1]
    generations, means = load_means(folder, len(weights))
    assert generations == [1, 2] and len(np.unique(means, axis=0)) == 2
    who = who_plays(IterateConfig(means=5, explore_share=1.0), folder, weights)
    assert [who(attempt)[0] for attempt in range(4)] == ["explore"] * 4
    assert np.array_equal([who(attempt)[1] for attempt in range(4)], [weights, *means, weights])
    few = who_plays(IterateConfig(means=1, candidates=2, explore_share=0.5), folder, weights)
    played = [few(attempt) for attempt in range(6)]
    assert [kind for kind, _ in played] == ["record", "explore"] * 3
    assert np.array_equal([found for _, found in played[1::2]], [*load_candidates(folder, len(weights))[:2], means[1]])


def test_an_ms_share_of_new_data_is_the_one_it_was_begun_with(trained, inside):
    """Its batches come from it, so that another one would change what a checkpoint goes on from."""
    done = inside("train_rnn.py", "doomrnn", "--run", trained, "--set", "iterate.new_share=0.2")
    assert_refused(done, 2, "iterate.new_share is 0.5, requested 0.2")
