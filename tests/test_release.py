"""A released run: small, complete for playing, and refused where something of it was changed."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from commands import ROOT, assert_refused, killed_at

from controller.checkpoints import load_candidates, load_controller, load_means
from experiment.errors import InputError
from experiment.files import check_manifest, read_sealed
from rnn.series import load_series
from rnn.training import load_rnn
from vae.episodes import list_episodes

CONTROLLER = "controller/dream-zch-tau1.15-s0"
AGENT = "evaluation/real-dream-zch-tau1.15-s0-seed7-n3.json"


def sha256(data: bytes) -> str:
    """The digest in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def test_a_release_plays(smoke, tmp_path, inside):
    """Weights, scores and curves without episodes; its controller is evaluated again, in half precision too."""
    target = tmp_path / "released"
    done = inside("release.py", "--run", smoke.path, "--to", target, "--float16")
    assert done.returncode == 0, done.stderr
    assert (target / "frames.npz").stat().st_size < 200_000
    assert not (target / "rollouts").exists() and not list(target.glob("series/series-*.npz"))
    assert json.loads((target / AGENT).read_text())["made_with"] == ""
    with np.load(target / "rnn" / "weights.npz") as arrays:
        assert {array.dtype for array in arrays.values()} == {np.dtype("float16")}
    for mine, theirs in zip(load_rnn(target / "rnn").variables, load_rnn(smoke.path / "rnn").variables, strict=True):
        np.testing.assert_allclose(mine.numpy(), theirs.numpy(), rtol=1e-3, atol=1e-6)
    done = inside("evaluate.py", "doomrnn", "--run", target, "--world", "real", "--episodes", 3, "--seed", 7)
    assert done.returncode == 0 and "nothing to do" not in done.stdout, done.stderr
    assert json.loads((target / AGENT).read_text())["made_with"] != ""
    told = read_sealed(target / "controller" / "dream-zch-tau1.15-s0" / "begun.json")["made_from"]
    assert told == {stage: sha256((target / stage / "weights.npz").read_bytes()) for stage in ("vae", "rnn")}
    elsewhere = tmp_path / "elsewhere"  # as on another machine (docs/carracing.md)
    for stage in ("vae", "series", "rnn", "controller"):
        shutil.copytree(target / stage, elsewhere / stage)
    done = inside("train_controller.py", "doomrnn", "--run", elsewhere, "--preset", "smoke")
    assert done.returncode == 0 and "controller/dream-zch-tau1.15-s0" in done.stdout, done.stderr
    done = inside("report.py", "--run", target)
    assert done.returncode == 0 and "Not there yet" not in (target / "report" / "index.html").read_text(), done.stderr
    again = inside("release.py", "--run", smoke.path, "--to", target)
    assert_refused(again, 2, str(target), "already exists")
    (target / "vae" / "metrics.jsonl").write_text("")
    with pytest.raises(InputError, match=r"metrics\.jsonl: damaged"):
        check_manifest(target / "vae")


def test_a_copy_of_a_release_is_iterated(smoke, tmp_path, inside):
    """Its episodes are collected again and encoded by its V; first frames and agent stay, and the agent plays on."""
    run, new = tmp_path / "run", tmp_path / "new"
    assert inside("release.py", "--run", smoke.path, "--to", run, "--float16").returncode == 0
    words, first = ("doomrnn", "--run", run), (run / "series/initial_z.npz").read_bytes()
    refused = inside("iterate.py", *words, "--to", new)
    assert_refused(refused, 2, f"{run / 'series'}: none in it", "collect_rollouts.py", "encode_series.py")
    for script in ("collect_rollouts.py", "encode_series.py"):
        done = inside(script, *words)
        assert done.returncode == 0 and "already" not in done.stdout, done.stderr
    assert (run / "series/initial_z.npz").read_bytes() == first
    training, held_out = load_series(run / "series", 64, 1)
    assert len(training + held_out) == len(list_episodes(smoke.path / "rollouts"))
    for script in ("train_vae.py", "train_rnn.py"):
        assert "already finished" in inside(script, *words).stdout
    done = inside("iterate.py", *words, "--to", new)
    assert done.returncode == 0 and len(list_episodes(new / "rollouts")) == 3, done.stderr


def test_its_candidates_and_means_explore(smoke, tmp_path, inside):
    """They are in a release, so that its search's last generation plays; one that lacks them is told how to without."""
    run, new = tmp_path / "run", tmp_path / "new"
    assert inside("release.py", "--run", smoke.path, "--to", run).returncode == 0
    size = load_controller(run / CONTROLLER, "best")[0].size
    for load in (load_candidates, load_means):
        mine, theirs = load(run / CONTROLLER, size), load(smoke.path / CONTROLLER, size)
        assert len(mine) == len(theirs) and all(map(np.array_equal, mine, theirs))
    for stage in ("rollouts", "series"):
        shutil.copytree(smoke.path / stage, run / stage, dirs_exist_ok=True)
    words = ("iterate.py", "doomrnn", "--run", run, "--to", new, "--set", "iterate.episodes=3")
    several = (*words, "--set", "iterate.candidates=4", "--set", "iterate.means=2")
    for name in ("candidates.npz", "means.npz"):
        kept = (run / CONTROLLER / name).rename(tmp_path / name)
        without = f"{name}: not there; --set iterate.candidates=1 --set iterate.means=0 does without it"
        assert_refused(inside(*several), 2, without)
        assert not new.exists()
        kept.rename(run / CONTROLLER / name)
    done = inside(*several)
    assert done.returncode == 0 and len(list_episodes(new / "rollouts")) == 3, done.stderr


def test_what_is_damaged_is_not_released(smoke, tmp_path, inside):
    """A copy has a manifest of its own, by which it would be whole: a score edited by hand, weights cut short."""
    run, target = tmp_path / "run", tmp_path / "released"
    shutil.copytree(smoke.path, run)
    words = ("release.py", "--run", run, "--to", target)
    for name in ("best.json", "evaluations.jsonl"):
        file = run / CONTROLLER / name
        whole = file.read_bytes()
        file.write_bytes(whole.replace(b'"score": ', b'"score": 9', 1))
        assert file.read_bytes() != whole
        assert_refused(inside(*words), 2, f"{file}: damaged")
        file.write_bytes(b"9" + whole[1:])  # of the same size
        assert_refused(inside(*words), 2, f"{file}: damaged")
        file.write_bytes(whole)
    (run / CONTROLLER / "manifest.json").unlink()  # as of a search that is not finished
    for name in ("best.npz", "last.npz", "candidates.npz", "means.npz"):
        file = run / CONTROLLER / name
        whole = file.read_bytes()
        file.write_bytes(whole[: len(whole) // 2])
        assert_refused(inside(*words), 2, f"{file}: ")
        file.write_bytes(whole)
    assert not target.exists() and not list(tmp_path.glob(".*"))


def test_a_kill_leaves_no_half_of_a_release(smoke, tmp_path, inside):
    """It is made beside its place, and what a killed command left there goes with the next one."""
    words = ("release.py", "--run", smoke.path, "--to", tmp_path / "released")
    killed_at("reporting.real_frames", "real_frames", *words)
    left = [path.name for path in tmp_path.iterdir()]
    assert left and "released" not in left
    done = inside(*words)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["released"]
    assert not [path for path in (tmp_path / "released").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("run", "policy", "stored"),
    [
        ("doomrnn", "left", "real-left-seed7-n100.json"),
        ("carracing", "random", "real-random-seed7-n100.json"),
        ("pendulum/seed-0/iteration-01", "sweep", "real-sweep22-seed7-n100.json"),
    ],
)
def test_released_scores_are_played_again(run, policy, stored, tmp_path, inside):
    """Scripted policies come to the released scores: seeds, rules and rewards are still what they were."""
    folder = ROOT / "results" / run
    words = ("--run", folder, "--policy", policy, "--episodes", 2, "--seed", 7, "--to", tmp_path)
    done = inside("evaluate.py", run.partition("/")[0], *words)
    assert done.returncode == 0, done.stderr
    released = json.loads((folder / "evaluation" / stored).read_text())
    found = json.loads((tmp_path / stored.replace("n100", "n2")).read_text())
    assert found["scores"] == pytest.approx(released["scores"][:2], abs=1e-6)


def test_an_unfinished_run_is_not_released(tmp_path, inside):
    """The stage that is missing is named."""
    done = inside("release.py", "--run", tmp_path, "--to", tmp_path / "x")
    assert_refused(done, 2, "config.json", "not there")
