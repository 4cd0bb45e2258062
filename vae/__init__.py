"""V, the convolutional variational autoencoder: model, losses, episodes and frames, training."""

from experiment.keras_settings import use_tensorflow

use_tensorflow()
