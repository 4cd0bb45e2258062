"""CarRacing's sizes of V and M. Source: paper, appendix A."""

from rnn.config import RNNConfig
from vae.config import VAEConfig

VAE = VAEConfig(z_size=32)
RNN = RNNConfig(hidden_size=256, done_head=False, regime="episodes", sequence_length=999, decay=1.0)
ACTION_SIZE = 3
