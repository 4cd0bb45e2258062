"""V, the convolutional variational autoencoder: model, losses, episodes and frames, training."""

from experiment.keras_settings import use_tensorflow
from experiment.public import public

__all__, __getattr__, __dir__ = public(
    "vae",
    {
        "config": ["VAEConfig"],
        "episodes": ["Episode", "list_episodes", "read_episode", "split_episodes"],
        "frames": ["FrameStream", "sample_frames"],
        "losses": ["VAELoss", "kl_divergence", "vae_loss"],
        "model": ["VAE", "to_uint8", "to_unit"],
        "released_weights": ["vae_from_authors", "vae_to_authors"],
        "training": ["build_vae", "load_vae", "train_vae"],
    },
)

use_tensorflow()
