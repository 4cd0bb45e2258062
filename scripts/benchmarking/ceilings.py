"""The ceilings of the benchmark: how fast this machine multiplies in the shapes that a step needs.

Every layer, forward and backward, is a kernel: a matrix product, or a convolution, which may also be computed as the
product of its patches (without the cost of gathering them). A kernel's rate is the best one that any library and form
sustains for a tenth of a second; a step cannot be faster than all its kernels in sequence at these rates.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from benchmarking.workers import Job, Measure

WINDOW = 0.1  # seconds that a rate is sustained for
DREAM_ROWS = (64, 128, 256, 512, 1024)
VAE_BATCH, ENCODING_BATCH, RNN_ROWS, RNN_STEPS = 100, 256, 100, 100


class Product(NamedTuple):
    """A product [m, k] x [k, n]; `turned` names the factors ("a", "b") that lie in memory the other way."""

    m: int
    k: int
    n: int
    turned: str = ""

    @property
    def operations(self) -> float:
        """Multiplications and additions."""
        return 2.0 * self.m * self.k * self.n


class Convolution(NamedTuple):
    """A convolution of stride 2 without padding, of maps [batch, size, size, inner] to [.., outer].

    kind: "forward", or what is computed from the outputs' gradient, "inputs" (also a transposed convolution forward)
    or "weights".
    """

    kind: str
    batch: int
    size: int
    inner: int
    outer: int
    kernel: int

    @property
    def side(self) -> int:
        """Of the outputs."""
        return (self.size - self.kernel) // 2 + 1

    @property
    def product(self) -> Product:
        """The same work as a product of patches."""
        places, patch = self.batch * self.side**2, self.kernel**2 * self.inner
        if self.kind == "forward":
            return Product(places, patch, self.outer)
        if self.kind == "inputs":
            return Product(places, self.outer, patch, "b")
        return Product(patch, places, self.outer, "a")

    @property
    def operations(self) -> float:
        """Multiplications and additions."""
        return self.product.operations


class Kernel(NamedTuple):
    """A part of a step: its name, the work, how often it is done, and for how many units (frames, steps) at once."""

    name: str
    work: Product | Convolution
    times: int
    units: int


def dense(name: str, rows: int, inputs: int, outputs: int, units: int, below: bool = True) -> Iterator[Kernel]:
    """Yield a dense layer forward and backward; `below`: the gradient of its inputs is needed too."""
    yield Kernel(f"{name}, forward", Product(rows, inputs, outputs), 1, units)
    yield Kernel(f"{name}, weights", Product(inputs, rows, outputs, "a"), 1, units)
    if below:
        yield Kernel(f"{name}, inputs", Product(rows, outputs, inputs, "b"), 1, units)


def encoder(batch: int, kinds: tuple[str, ...]) -> Iterator[Kernel]:
    """V's encoder of four convolutions."""
    from experiment.arrays import FRAME_SHAPE
    from vae.model import ENCODER_CHANNELS

    size, inner = FRAME_SHAPE[0], FRAME_SHAPE[2]
    for number, outer in enumerate(ENCODER_CHANNELS, 1):
        for kind in kinds:
            work = Convolution(kind, batch, size, inner, outer, 4)
            if number > 1 or kind != "inputs":
                yield Kernel(f"conv{number}, {kind}", work, 1, batch)
        size, inner = work.side, outer


def vae_training(z_size: int = 64) -> Iterator[Kernel]:
    """Yield an update of V, by frame."""
    from vae.model import CODE_SIZE, DECODER_LAYERS

    batch = VAE_BATCH
    yield from encoder(batch, ("forward", "weights", "inputs"))
    yield from dense("mu and logvar", batch, CODE_SIZE, 2 * z_size, batch)
    yield from dense("decoder dense", batch, z_size, CODE_SIZE, batch)
    side, channels = 1, CODE_SIZE
    for number, (inner, kernel) in enumerate(DECODER_LAYERS, 1):
        side = (side - 1) * 2 + kernel
        for kind, meaning in (("inputs", "forward"), ("weights", "weights"), ("forward", "inputs")):
            yield Kernel(
                f"deconv{number}, {meaning}", Convolution(kind, batch, side, inner, channels, kernel), 1, batch
            )
        channels = inner


def vae_encoding(z_size: int = 64) -> Iterator[Kernel]:
    """V's encoder alone, by frame."""
    from vae.model import CODE_SIZE

    yield from encoder(ENCODING_BATCH, ("forward",))
    yield Kernel("mu and logvar", Product(ENCODING_BATCH, CODE_SIZE, 2 * z_size), 1, ENCODING_BATCH)


def rnn_training(inputs: int = 66, hidden: int = 512, head: int = 961) -> Iterator[Kernel]:
    """Yield an update of M, by frame: only the recurrent products are done step by step."""
    rows, steps, frames = RNN_ROWS, RNN_STEPS, RNN_ROWS * RNN_STEPS
    yield from dense("LSTM inputs", frames, inputs, 4 * hidden, frames, below=False)
    yield Kernel("LSTM state, forward", Product(rows, hidden, 4 * hidden), steps, frames)
    yield Kernel("LSTM state, inputs", Product(rows, 4 * hidden, hidden, "b"), steps, frames)
    yield Kernel("LSTM state, weights", Product(hidden, frames, 4 * hidden, "a"), 1, frames)
    yield from dense("head", frames, hidden, head, frames)


def dream(inputs: int = 66, hidden: int = 512, head: int = 961) -> Iterator[Kernel]:
    """Yield a step of the dream, at the best number of rows."""
    for rows in DREAM_ROWS:
        yield Kernel("LSTM inputs", Product(rows, inputs, 4 * hidden), 1, rows)
        yield Kernel("LSTM state", Product(rows, hidden, 4 * hidden), 1, rows)
        yield Kernel("head", Product(rows, hidden, head), 1, rows)


STEPS = {"vae_training": vae_training, "vae_encoding": vae_encoding, "rnn_training": rnn_training, "dream": dream}


def tensorflow(job: Job) -> Measure:
    """Return the rates by TensorFlow; the job's variant names the step."""
    return _measure(job.variant, TensorFlowForms())


def torch(job: Job) -> Measure:
    """Return the rates by PyTorch."""
    return _measure(job.variant, TorchForms(job.threads))


def _measure(step: str, library: Any) -> Measure:
    todo = list(STEPS[step]())

    def measure(number: int) -> dict[str, Any]:
        found: dict[str, dict[str, float]] = {}
        for name, work, times, units in todo:
            each = min(sustained(form) for form in forms(library, work)) * times / units
            if name not in found or each < found[name]["seconds"]:
                found[name] = {"seconds": each, "operations": work.operations * times / units}
        return {"products": found}

    return measure


def forms(library: Any, work: Product | Convolution) -> Iterator[Callable[[], Any]]:
    """Yield the ways to do a kernel, made one at a time for the sake of memory; a factor may be turned beforehand."""
    if isinstance(work, Convolution):
        yield library.convolution(work)
        work = work.product
    yield library.product(work)
    if work.turned:
        yield library.product(work._replace(turned=""))


def sustained(call: Callable[[], Any]) -> float:
    """Seconds a call takes, over a window."""
    call()
    count, start = 0, time.perf_counter()
    while count < 2 or time.perf_counter() - start < WINDOW:
        call()
        count += 1
    return (time.perf_counter() - start) / count


def factors(work: Product) -> tuple[np.ndarray, np.ndarray]:
    """Two matrices of a product as they lie in memory."""
    a, b = np.ones((work.m, work.k), np.float32), np.ones((work.k, work.n), np.float32)
    return a.reshape(a.shape[::-1]) if "a" in work.turned else a, b.reshape(b.shape[::-1]) if "b" in work.turned else b


def maps(work: Convolution) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, weights [kernel, kernel, inner, outer] and outputs of a convolution, channels last."""
    x = np.ones((work.batch, work.size, work.size, work.inner), np.float32)
    w = np.ones((work.kernel, work.kernel, work.inner, work.outer), np.float32)
    return x, w, np.ones((work.batch, work.side, work.side, work.outer), np.float32)


class TensorFlowForms:
    """Products and convolutions by TensorFlow's eager operations."""

    def product(self, work: Product) -> Callable[[], Any]:
        """Return a call that multiplies."""
        import tensorflow as tf

        a, b = map(tf.constant, factors(work))
        return lambda: tf.linalg.matmul(a, b, transpose_a="a" in work.turned, transpose_b="b" in work.turned)

    def convolution(self, work: Convolution) -> Callable[[], Any]:
        """Return a call that convolves."""
        import tensorflow as tf

        x, w, y = map(tf.constant, maps(work))
        how = {"strides": [1, 2, 2, 1], "padding": "VALID"}
        if work.kind == "forward":
            return lambda: tf.raw_ops.Conv2D(input=x, filter=w, **how)
        if work.kind == "inputs":
            return lambda: tf.raw_ops.Conv2DBackpropInput(input_sizes=x.shape, filter=w, out_backprop=y, **how)
        return lambda: tf.raw_ops.Conv2DBackpropFilter(input=x, filter_sizes=w.shape, out_backprop=y, **how)


class TorchForms:
    """Products and convolutions by PyTorch."""

    def __init__(self, threads: int):
        import torch

        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)

    def product(self, work: Product) -> Callable[[], Any]:
        """Return a call that multiplies."""
        import torch

        a, b = map(torch.from_numpy, factors(work))
        a, b = a.T if "a" in work.turned else a, b.T if "b" in work.turned else b
        return lambda: torch.mm(a, b)

    def convolution(self, work: Convolution) -> Callable[[], Any]:
        """Return a call that convolves."""
        import torch

        x, w, y = map(torch.from_numpy, maps(work))
        x, y = x.permute(0, 3, 1, 2), y.permute(0, 3, 1, 2)
        w = w.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
        if work.kind == "forward":
            return lambda: torch.conv2d(x, w, stride=2)
        mask = [work.kind == "inputs", work.kind == "weights", False]
        how = (None, [2, 2], [0, 0], [1, 1], False, [0, 0], 1, mask)
        return lambda: torch.ops.aten.convolution_backward(y, x, w, *how)
