"""TensorFlow and forked processes: one that is forked after TensorFlow has run waits for ever at its first operation.

Its threads stay behind in the parent. So a forked process notes how it began, and who would use TensorFlow there asks
first.
"""

import os
import sys

from experiment.errors import InputError

_began_with_tensorflow = False


def tensorflow_has_run() -> bool:
    """Return whether TensorFlow has run an operation in this process; importing it runs none."""
    context = getattr(sys.modules.get("tensorflow.python.eager.context"), "_context", None)
    return bool(getattr(context, "_initialized", False))


def _note() -> None:
    global _began_with_tensorflow
    _began_with_tensorflow = tensorflow_has_run()


def refuse_dead_tensorflow() -> None:
    """Raise InputError where TensorFlow ran before this process was forked, and so would never answer in it."""
    if _began_with_tensorflow:
        raise InputError(
            f"process {os.getpid()} was forked after TensorFlow had run in its parent, where TensorFlow would wait for "
            "ever: start it by 'spawn' (AsyncVectorEnv: context='spawn'), or before the parent loads a model"
        )


def refuse_graphs() -> None:
    """Raise InputError where TensorFlow only builds graphs, as programs of its first version had it do."""
    eager = getattr(sys.modules.get("tensorflow"), "executing_eagerly", None)
    outside = getattr(sys.modules.get("tensorflow.python.framework.ops"), "executing_eagerly_outside_functions", eager)
    if outside is not None and not outside():
        raise InputError(
            "TensorFlow was told to build graphs only (tf.compat.v1.disable_eager_execution or disable_v2_behavior), "
            "and these models compute at once: load them in a process without that"
        )


os.register_at_fork(after_in_child=_note)
