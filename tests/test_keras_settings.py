"""The user's own Keras settings change nothing: types, data format, policies and backend are those the models need."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from commands import ROOT

from experiment.checkpoints import load_model, save_model
from experiment.keras_settings import adam
from rnn.config import RNNConfig
from rnn.mdn import sample
from rnn.model import MDNRNN
from rnn.training import RNNTrainer
from vae.config import VAEConfig
from vae.model import VAE
from vae.training import VAETrainer

FRAMES = np.random.default_rng(0).integers(0, 255, (4, 64, 64, 3), np.uint8)
NORMALS = np.random.default_rng(1).standard_normal((4, 3), np.float32)


def floatx(name):
    """A default type of the user's."""
    return lambda: keras.config.set_floatx(name)


SETTINGS = {
    "channels_first": lambda: keras.config.set_image_data_format("channels_first"),
    "float16": floatx("float16"),
    "float64": floatx("float64"),
    "bfloat16": floatx("bfloat16"),
    "mixed_float16": lambda: keras.config.set_dtype_policy("mixed_float16"),
    "mixed_bfloat16": lambda: keras.config.set_dtype_policy("mixed_bfloat16"),
    "policy_float64": lambda: keras.config.set_dtype_policy("float64"),
}


@pytest.fixture
def restored():
    """Puts Keras's settings back."""
    before = keras.config.floatx(), keras.config.image_data_format(), keras.config.dtype_policy()
    yield
    keras.config.set_floatx(before[0])
    keras.config.set_image_data_format(before[1])
    keras.config.set_dtype_policy(before[2])


def everything(folder) -> list[np.ndarray]:
    """What V and M say, draw, learn and load, in this process as it is set."""
    vae, rnn = VAE(3, seed=1), MDNRNN(3, 1, 8, 2, done_head=True, seed=2, reward_head=True)
    mu, logvar = vae.encode(FRAMES.astype(np.float32) / 255)
    reconstruction, *_ = vae(FRAMES.astype(np.float32) / 255, NORMALS)
    state = rnn.zero_state(4)
    params, h, c = rnn.step(NORMALS, NORMALS[:, :1], np.ones((4, 1), np.float32), *state, rnn.step_weights())
    drawn = sample(params, 1.15, np.abs(NORMALS) % 1, NORMALS)
    found = [mu, logvar, reconstruction, vae.decode(NORMALS), *params, h, c, drawn]
    trainer = VAETrainer(vae, VAEConfig(z_size=3, learning_rate=1e-5))
    found += [*trainer.update(tf.constant(FRAMES), tf.constant(NORMALS)), *trainer.variables]
    found += RNNTrainer(rnn, RNNConfig(hidden_size=8, mixtures=2, batch_size=2, reward_head=True)).variables
    for name, model in (("vae", VAE), ("rnn", MDNRNN)):
        found += load_model(model, folder / name, "weights", "").variables
    return [np.asarray(part) for part in found]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """A folder of models, and everything under Keras's own defaults."""
    folder = tmp_path_factory.mktemp("models")
    save_model(folder / "vae", "weights", VAE(3, seed=5))
    save_model(folder / "rnn", "weights", MDNRNN(3, 1, 8, 2, seed=6))
    return folder, everything(folder)


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_of_the_user_change_nothing(name, expected, restored):
    """The same numbers, bit for bit, and no other type."""
    SETTINGS[name]()
    found = everything(expected[0])
    for ours, theirs in zip(found, expected[1], strict=True):
        assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
        assert np.array_equal(ours, theirs)


def test_the_optimizer_keeps_its_learning_rate(restored):
    """1e-5 is no number of float16; Keras's settings are left as they were."""
    keras.config.set_floatx("float16")
    assert float(adam(1e-5).learning_rate) == np.float32(1e-5)
    assert keras.config.floatx() == "float16"


OTHER = """import sys, types
keras = sys.modules["keras"] = types.ModuleType("keras")
keras.config = types.SimpleNamespace(backend=lambda: "jax")
"""


def said(code: str, folder, **environment: str) -> subprocess.CompletedProcess:
    """A process of a user whose home is `folder`."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "KERAS_HOME": str(folder)} | environment
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )


def test_another_backend_is_set_or_refused(tmp_path):
    """A KERAS_BACKEND or keras.json for other projects does not hold here; a Keras that runs on it is refused."""
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch", "image_data_format": "channels_first"}))
    load = "from vae.model import VAE; import keras; print(keras.backend.backend(), VAE(2).encode.__name__)"
    assert said(load, tmp_path, KERAS_BACKEND="jax").stdout == "tensorflow encode\n"
    for first in ("vae.model", "rnn.model", "controller.policies"):
        done = said(OTHER + f"import {first}", tmp_path)  # jax and torch are not what the tests install
        line = done.stderr.splitlines()[-1]
        assert done.returncode == 1 and line.startswith("ImportError: World Models runs Keras on TensorFlow")
        assert "here it is on jax" in line


@pytest.mark.parametrize(("said", "products"), [(None, "1"), ("0", "0")])
def test_onednns_products_are_taken_unless_told_otherwise(said, products):
    """Where TensorFlow would leave them out, too."""
    words = [sys.executable, "-c", "import os, vae; print(os.environ['TF_ENABLE_ONEDNN_OPTS'])"]
    bare = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    told = bare | ({} if said is None else {"TF_ENABLE_ONEDNN_OPTS": said})
    done = subprocess.run(words, cwd=ROOT, env=told, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == products
