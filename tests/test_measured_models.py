"""V's and M's costs on the episodes of whoever plays."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from running import played

from controller.trajectories import Trajectory
from rnn.training import load_rnn
from vae.training import load_vae


def test_costs_of_v_and_m_on_what_is_played(smoke, inside, tmp_path):
    """The collecting policy's row and the agent's; M's cost is the density of the mixture, by hand."""
    file, agent = tmp_path / "found.json", "dream-zch-tau1.15-s0"
    done = inside("measure_models.py", "--run", smoke.path, "--controller", agent, "--episodes", 2, "--json", file)
    assert done.returncode == 0, done.stderr
    found = json.loads(file.read_text())
    assert list(found) == ["collecting policy", agent]
    for name, parts in found.items():
        assert f"| {name} | {parts['frames']:,} | {parts['V']['mean']:.2f} ±" in done.stdout
    done = inside("measure_models.py", "--run", smoke.path, "--episodes", 1, "--json", file)
    assert done.returncode == 0, done.stderr
    one = json.loads(file.read_text())["collecting policy"]  # of which there is no error
    assert one["V"]["error"] is None and f"{one['frames']} | {one['V']['mean']:.2f} |" in done.stdout
    kept, other = (smoke.path / "config.json").read_bytes(), ("--set", "collect.max_hold=1", "--json", file)
    done = inside("measure_models.py", "--run", smoke.path, "--episodes", 1, *other)
    assert done.returncode == 0 and json.loads(file.read_text())["collecting policy"] != one, done.stderr
    assert (smoke.path / "config.json").read_bytes() == kept

    from measure_models import costs

    vae, rnn = load_vae(smoke.path / "vae"), load_rnn(smoke.path / "rnn")
    frames = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
    actions = np.float32([[0.3], [-1], [0], [1], [0.5]])
    v, m = costs(vae, rnn, Trajectory(frames, actions), np.random.default_rng(1))
    mu, logvar = (np.asarray(part) for part in vae.encode(frames / np.float32(255)))
    z = mu + np.exp(logvar / 2) * np.random.default_rng(1).standard_normal(mu.shape, np.float32)
    assert v == pytest.approx(np.square(np.asarray(vae.decode(z)) - frames / 255).sum() / 5, rel=1e-4)
    h, c = rnn.zero_state(1)
    terms = []
    for t in range(4):
        told, h, c = rnn.step(z[t : t + 1], actions[t : t + 1], np.float32([[t == 0]]), h, c)
        logmix, mean, logstd = (np.asarray(part)[0] for part in told[:3])
        weights = np.exp(logmix) / np.exp(logmix).sum(0)
        std = np.exp(logstd)
        density = weights * np.exp(-0.5 * ((z[t + 1] - mean) / std) ** 2) / (std * np.sqrt(2 * np.pi))
        terms.append(-np.log(density.sum(0)))
    assert m == pytest.approx(np.mean(terms), rel=1e-3)
    done = inside("measure_models.py", "--run", smoke.path, "--controller", "nobody")
    assert done.returncode == 2 and "nobody" in done.stderr


def test_near_seeds_share_episodes(monkeypatch):
    """Episode n is of seed + n, which published measurements rest on, and --seed says what follows from it."""
    monkeypatch.setattr("controller.trajectories.script_trajectory", lambda games, script, size, seed, *_: seed)
    run = SimpleNamespace(stages=SimpleNamespace(env=SimpleNamespace(time_limit=5), collect=None))
    task = SimpleNamespace(collector=lambda collect: None, action_size=1)
    found = [list(played.trajectories(run, task, None, None, None, 20, seed)) for seed in (7, 8)]
    assert found == [list(range(7, 27)), list(range(8, 28))]
    words = " ".join(played.parser("").format_help().split())
    assert "seed + 1, ...: seeds nearer to one another than --episodes share some" in words
