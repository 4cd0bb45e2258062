"""M: the recurrent network with a mixture density head that predicts the next latent vector."""

from experiment.keras_settings import use_tensorflow
from experiment.public import public

__all__, __getattr__, __dir__ = public(
    "rnn",
    {
        "config": ["RNNConfig", "SeriesConfig"],
        "dream": ["Dream", "DreamState", "Noise"],
        "encoding": ["encode_episodes"],
        "losses": ["MDNRNNLoss", "mdnrnn_loss"],
        "lstm": ["RestartLSTM"],
        "mdn": ["MDNParameters", "mixture", "negative_log_likelihood", "sample"],
        "model": ["MDNRNN"],
        "released_weights": ["mdnrnn_from_authors", "mdnrnn_to_authors"],
        "series": ["InitialLatents", "Series", "load_initial", "load_series"],
        "training": ["build_rnn", "load_rnn", "train_rnn"],
    },
)

use_tensorflow()
