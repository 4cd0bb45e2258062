"""Keras as this project needs it, whatever the user's own settings say (``keras.json``, KERAS_BACKEND, policies).

The models name their own types and data format; here is what Keras has no argument for.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import Any


def use_tensorflow() -> None:
    """Choose TensorFlow as Keras's backend, with oneDNN's products, before either is first imported.

    By itself TensorFlow takes these on CPUs with instructions for networks alone; where there is no more than AVX2
    they train V 1.3 times as fast, too. TF_ENABLE_ONEDNN_OPTS=0 leaves them out, and they are not there where
    TensorFlow was imported before. Raises ImportError where Keras was, with another backend: a process has one.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        return
    backend = sys.modules["keras"].config.backend()
    if backend != "tensorflow":
        raise ImportError(
            f"World Models runs Keras on TensorFlow, and here it is on {backend}; set KERAS_BACKEND=tensorflow, or "
            "import these packages before keras"
        )


def adam(learning_rate: float) -> Any:
    """Return Keras's Adam, which keeps its learning rate in Keras's default type, as if that were float32."""
    import keras

    with single_precision():
        return keras.optimizers.Adam(learning_rate)


@contextlib.contextmanager
def single_precision() -> Iterator[None]:
    """Within, Keras's default type is float32."""
    import keras

    before = keras.config.floatx()
    keras.config.set_floatx("float32")
    try:
        yield
    finally:
        keras.config.set_floatx(before)
