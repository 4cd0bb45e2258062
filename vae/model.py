"""V, the convolutional variational autoencoder.

Letters: B batch, Z latent size. Source: World Models (Ha & Schmidhuber 2018), appendix A.1 and figure 22.
"""

from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from experiment.arrays import FRAME_SHAPE
from experiment.config import check_precision
from vae.latents import sample_z

Tensor = Any

CODE_SIZE = 1024  # the encoder's flattened features [2, 2, 256], and the decoder's first layer
ENCODER_CHANNELS = (32, 64, 128, 256)  # 4x4 kernels, stride 2, no padding: 64 -> 31 -> 14 -> 6 -> 2
DECODER_LAYERS = ((128, 5), (64, 5), (32, 6), (3, 6))  # (channels, kernel); stride 2: 1 -> 5 -> 13 -> 30 -> 64


class ProductConv2D(keras.layers.Conv2D):
    """A convolution computed as one matrix product of its patches.

    The same function and weights as Keras's Conv2D without padding, and faster where the output is small: as the
    encoder's last layer it makes encoding a fifth faster.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Map features [B, S, S, C] to [B, N, N, filters], where the kernel fits N times along a side."""
        size, stride = self.kernel_size[0], self.strides[0]
        starts = range(0, inputs.shape[1] - size + 1, stride)
        patches = [inputs[:, y : y + size, x : x + size] for y in starts for x in starts]
        patches = ops.reshape(ops.stack(patches, axis=1), (-1, size * size * inputs.shape[-1]))
        outputs = ops.matmul(patches, ops.reshape(self.kernel, (-1, self.filters))) + self.bias
        return ops.reshape(self.activation(outputs), (-1, len(starts), len(starts), self.filters))


class PixelConv2DTranspose(keras.layers.Conv2DTranspose):
    """A transposed convolution of a single pixel, computed as the one matrix product it is.

    The same function and weights as Keras's Conv2DTranspose without padding; with it, V trains 1.3 times as fast.
    """

    def call(self, inputs: Tensor) -> Tensor:
        """Map features [B, 1, 1, C] to [B, kernel, kernel, filters]."""
        size, channels = self.kernel_size[0], inputs.shape[-1]
        kernel = ops.transpose(ops.reshape(self.kernel, (-1, channels)))
        outputs = ops.matmul(ops.reshape(inputs, (-1, channels)), kernel)
        return self.activation(ops.reshape(outputs, (-1, size, size, self.filters)) + self.bias)


class VAE(keras.Model):
    """The autoencoder: frames [B, 64, 64, 3] in [0, 1] to a normal distribution over z [B, Z], and z back to frames.

    z_size: Z, 32 for CarRacing (4,348,547 parameters) and 64 for Doom (4,446,915).
    seed: the initial weights (Glorot uniform, biases 0) depend on it alone; no global seed is read or set.
    precision: "float32", or "bfloat16" for the convolutions: their inputs, outputs and weights are rounded to it. The
        stored weights, the dense layers, mu, logvar, z and the decoder's frames are float32 in both.
    Raises ValueError for another precision.
    """

    ARGUMENTS: ClassVar = {"z_size": int, "precision": str}  # that rebuild it, beside its weights

    def __init__(self, z_size: int, seed: int = 0, precision: str = "float32", name: str = "vae") -> None:
        super().__init__(name=name, dtype="float32")
        self.z_size = z_size
        self.precision = check_precision(precision)
        seeds = iter(np.random.SeedSequence(seed).generate_state(11) % (2**31))
        self._build_encoder(seeds)
        self._build_decoder(seeds)
        self.built = True

    def _build_encoder(self, seeds: Any) -> None:
        self.encoder_layers = []
        shape = (None, *FRAME_SHAPE)
        for index, channels in enumerate(ENCODER_CHANNELS):
            last = index == len(ENCODER_CHANNELS) - 1
            layer = (ProductConv2D if last else keras.layers.Conv2D)(
                channels,
                4,
                strides=2,
                data_format="channels_last",
                activation="relu",
                kernel_initializer=_glorot(seeds),
                dtype=_dtype_policy(self.precision),
                name=f"encoder_conv{index + 1}",
            )
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            self.encoder_layers.append(layer)
        self.mu_layer = _dense(self.z_size, CODE_SIZE, seeds, "mu")
        self.logvar_layer = _dense(self.z_size, CODE_SIZE, seeds, "logvar")

    def _build_decoder(self, seeds: Any) -> None:
        self.decoder_dense = _dense(CODE_SIZE, self.z_size, seeds, "decoder_dense")
        self.decoder_layers = []
        shape = (None, 1, 1, CODE_SIZE)
        for index, (channels, kernel) in enumerate(DECODER_LAYERS):
            last = index == len(DECODER_LAYERS) - 1
            layer = (keras.layers.Conv2DTranspose if index else PixelConv2DTranspose)(
                channels,
                kernel,
                strides=2,
                data_format="channels_last",
                activation=None if last else "relu",
                kernel_initializer=_glorot(seeds),
                dtype=_dtype_policy(self.precision),
                name=f"decoder_deconv{index + 1}",
            )
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
            self.decoder_layers.append(layer)

    def encode(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Map frames float32 [B, 64, 64, 3] in [0, 1] to mu and logvar, both float32 [B, Z].

        Raises ValueError for frames of another type or shape, and, outside compiled functions, of another range.
        """
        features = _checked_unit(frames)
        for layer in self.encoder_layers:
            features = layer(features)
        code = ops.cast(ops.reshape(features, (-1, CODE_SIZE)), "float32")
        return self.mu_layer(code), self.logvar_layer(code)

    def decode(self, z: Tensor) -> Tensor:
        """Map latent vectors z float32 [B, Z] to frames float32 [B, 64, 64, 3] in [0, 1]."""
        features = ops.reshape(self.decoder_dense(z), (-1, 1, 1, CODE_SIZE))
        for layer in self.decoder_layers:
            features = layer(features)
        return ops.sigmoid(ops.cast(features, "float32"))

    @staticmethod
    def sample(mu: Tensor, logvar: Tensor, eps: Tensor) -> Tensor:
        """Return z [B, Z] = mu + exp(logvar / 2) * eps, with standard normals eps [B, Z] from the caller."""
        return sample_z(mu, logvar, eps, exp=ops.exp)

    def call(self, frames: Tensor, eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map frames [B, 64, 64, 3] and eps [B, Z] to (reconstruction [B, 64, 64, 3], mu [B, Z], logvar [B, Z])."""
        mu, logvar = self.encode(frames)
        return self.decode(self.sample(mu, logvar, eps)), mu, logvar


def to_unit(frames: Tensor) -> Tensor:
    """Return uint8 frames [..., 64, 64, 3] as V reads them: float32 in [0, 1]; ValueError for those of another type."""
    if keras.backend.standardize_dtype(frames.dtype) != "uint8":
        raise ValueError(f"frames must be uint8, 0 to 255, not {keras.backend.standardize_dtype(frames.dtype)}")
    return ops.cast(frames, "float32") / 255.0


def to_uint8(frames: Tensor) -> np.ndarray:
    """Return V's frames [..., 64, 64, 3] in [0, 1] as uint8, rounded to the nearest; ValueError for other numbers."""
    array = np.asarray(frames)
    if array.dtype.kind != "f" or not ((array >= 0) & (array <= 1)).all():  # nor is NaN
        raise ValueError(f"frames must be floats in [0, 1], not {_range_of(array)}")
    return (array * 255).round().astype(np.uint8)


def _checked_unit(frames: Tensor) -> Tensor:
    """Return frames for the encoder; ValueError for those that it would read as something else."""
    kind, shape = keras.backend.standardize_dtype(frames.dtype), tuple(frames.shape)
    if not kind.startswith(("float", "bfloat")) or len(shape) != 4 or shape[1:] != FRAME_SHAPE:
        advice = "; see to_unit" if kind == "uint8" else ""
        raise ValueError(f"frames must be float32 [B, 64, 64, 3] in [0, 1], not {kind} {list(shape)}{advice}")
    if isinstance(frames, np.ndarray) or hasattr(frames, "_numpy"):  # their values are there to be seen
        array = np.asarray(frames)
        if not ((array >= 0) & (array <= 1)).all():
            raise ValueError(f"frames must be floats in [0, 1], not {_range_of(array)}; see to_unit")
    return frames


def _range_of(array: np.ndarray) -> str:
    """Return the type of an array and the range of its numbers, in words."""
    return f"{array.dtype} from {array.min():g} to {array.max():g}" if array.size else f"{array.dtype}, and none at all"


def _dtype_policy(precision: str) -> str:
    """Return Keras's dtype policy of a precision; weights are float32 in both."""
    return precision if precision == "float32" else f"mixed_{precision}"


def _glorot(seeds: Any) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=int(next(seeds)))


def _dense(units: int, inputs: int, seeds: Any, name: str) -> keras.layers.Dense:
    layer = keras.layers.Dense(units, kernel_initializer=_glorot(seeds), dtype="float32", name=name)
    layer.build((None, inputs))
    return layer
