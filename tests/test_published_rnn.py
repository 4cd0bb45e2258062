"""The authors' released CarRacing M, in ours, predicts their own episode as well as it should."""

import json
from pathlib import Path

import numpy as np
import pytest
from published import NATS, REFERENCE, car_episode, published

from rnn.losses import mdnrnn_loss
from rnn.mdn import negative_log_likelihood
from rnn.released_weights import mdnrnn_from_authors, mdnrnn_to_authors

pytestmark = published


@pytest.fixture(scope="module")
def arrays() -> list[np.ndarray]:
    return [np.array(part) for part in json.loads(Path(REFERENCE, "weights", "carracing_rnn.json").read_text())]


def test_likelihood_of_the_published_episode(arrays):
    """On average, and those of the first three predictions."""
    model = mdnrnn_from_authors(arrays, z_size=32, action_size=3)
    assert model.count_params() == 422_368
    z, action = car_episode()
    params, _, _ = model.sequence(z[:, :-1], action, None, *model.zero_state(1))
    nll = np.mean(negative_log_likelihood(params, z[:, 1:]), axis=-1)[0]
    assert nll.mean() == pytest.approx(NATS, abs=5e-5)
    assert nll[:3] == pytest.approx([0.78183, 0.77101, 0.67977], abs=1e-5)
    assert float(mdnrnn_loss(params, z[:, 1:]).total) == pytest.approx(nll.mean(), abs=1e-6)


def test_export_gives_the_published_integers_back(arrays):
    for ours, theirs in zip(mdnrnn_to_authors(mdnrnn_from_authors(arrays, 32, 3)), arrays, strict=True):
        assert np.array_equal(ours, theirs)
