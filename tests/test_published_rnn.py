"""The authors' released CarRacing M, in ours, predicts their own episode as well as it should."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from rnn.losses import mdnrnn_loss
from rnn.mdn import negative_log_likelihood
from rnn.released_weights import mdnrnn_from_authors, mdnrnn_to_authors

ACTION = (0.0, 0.2, 0.0)  # the episode's actions were not published


@pytest.fixture(scope="module")
def reference() -> Path:
    folder = os.environ.get("WORLD_MODELS_REFERENCE")
    if not folder:
        pytest.skip("WORLD_MODELS_REFERENCE is unset: no published data to compare with")
    return Path(folder)


@pytest.fixture(scope="module")
def arrays(reference) -> list[np.ndarray]:
    return [np.array(part) for part in json.loads((reference / "weights" / "carracing_rnn.json").read_text())]


def test_likelihood_of_the_published_episode(reference, arrays):
    """From a zero state, over 499 predictions: 0.5474 nats a dimension, the first three 0.78183, 0.77101, 0.67977."""
    model = mdnrnn_from_authors(arrays, z_size=32, action_size=3)
    assert model.count_params() == 422_368
    z = np.load(reference / "latents" / "carracing_frames_1_500.npz")["mu"][None]
    action = np.broadcast_to(np.float32(ACTION), (1, 499, 3))
    params, _, _ = model.sequence(z[:, :-1], action, None, *model.zero_state(1))
    nll = np.mean(negative_log_likelihood(params, z[:, 1:]), axis=-1)[0]
    assert nll.mean() == pytest.approx(0.5474, abs=5e-5)
    assert nll[:3] == pytest.approx([0.78183, 0.77101, 0.67977], abs=1e-5)
    assert float(mdnrnn_loss(params, z[:, 1:]).total) == pytest.approx(nll.mean(), abs=1e-6)


def test_export_gives_the_published_integers_back(arrays):
    for ours, theirs in zip(mdnrnn_to_authors(mdnrnn_from_authors(arrays, 32, 3)), arrays, strict=True):
        assert np.array_equal(ours, theirs)
