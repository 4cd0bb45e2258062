"""M: the recurrent network with a mixture density head that predicts the next latent vector."""

from experiment.keras_settings import use_tensorflow

use_tensorflow()
