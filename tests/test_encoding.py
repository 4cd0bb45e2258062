"""Episodes to latents: every frame its own, wherever batches and shards are cut."""

import numpy as np
import pytest
from samples import write_episodes

from experiment.errors import NumericalError
from rnn.config import SeriesConfig
from rnn.encoding import encode_episodes
from rnn.series import load_initial, read_shard, shard_path
from vae.episodes import read_episode, split_episodes
from vae.model import VAE

CONFIG = SeriesConfig(batch_size=16, shard_episodes=3, initial_frames=2)
LENGTHS = [5, 37, 16, 11, 1, 40, 3]


@pytest.fixture(scope="module")
def model() -> VAE:
    """An untrained V."""
    return VAE(8, seed=1)


def test_latents_are_those_of_their_frames(tmp_path, model):
    """mu and logvar of each frame, with the episode's actions, rewards, end and split; first frames kept apart."""
    paths = write_episodes(tmp_path / "rollouts", LENGTHS, striped=True)
    summary = encode_episodes(tmp_path / "series", tmp_path / "rollouts", model, 1, CONFIG, seed=0)
    assert summary["episodes"] == 7
    series = [s for n in range(3) for s in read_shard(shard_path(tmp_path / "series", n), 8, 1)]
    held_out = split_episodes(paths, 0)[1]
    assert [len(s) for s in series] == LENGTHS and [s.held_out for s in series] == [path in held_out for path in paths]
    for path, found in zip(paths, series, strict=True):
        episode = read_episode(path, 1)
        mu, logvar = (np.asarray(part) for part in model.encode(episode.obs.astype(np.float32) / 255))
        assert np.allclose(found.mu, mu, atol=2e-3) and np.allclose(found.logvar, logvar, atol=2e-3)
        for key in ("action", "reward", "terminated"):
            assert np.array_equal(getattr(found, key), getattr(episode, key))
    training = [s for s in series if not s.held_out][:2]
    assert np.array_equal(load_initial(tmp_path / "series", 8).mu, np.float32([s.mu[0] for s in training]))


def test_what_is_missing_is_encoded_again_alike(tmp_path, model):
    """A lost shard comes back byte for byte; the others are left alone."""
    write_episodes(tmp_path / "rollouts", LENGTHS, striped=True)
    encode_episodes(tmp_path / "series", tmp_path / "rollouts", model, 1, CONFIG, seed=0)
    files = {path: path.read_bytes() for path in (tmp_path / "series").glob("*.npz")}
    shard_path(tmp_path / "series", 1).unlink()
    kept = shard_path(tmp_path / "series", 0).stat().st_mtime_ns
    encode_episodes(tmp_path / "series", tmp_path / "rollouts", model, 1, CONFIG, seed=0)
    assert {path: path.read_bytes() for path in (tmp_path / "series").glob("*.npz")} == files
    assert shard_path(tmp_path / "series", 0).stat().st_mtime_ns == kept


def test_latents_that_are_no_numbers_are_named(tmp_path):
    """The first episode they appear in is named, and no shard is written."""
    write_episodes(tmp_path / "rollouts", [5, 6, 7], striped=True)
    model = VAE(8)
    model.mu_layer.bias.assign(np.full(8, np.nan, np.float32))
    with pytest.raises(NumericalError, match=r"episode-000000\.npz; train V again"):
        encode_episodes(tmp_path / "series", tmp_path / "rollouts", model, 1, CONFIG, seed=0)
    assert not list((tmp_path / "series").glob("*.npz"))
