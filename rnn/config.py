"""Settings of the series stage (frames to latents) and of M."""

from dataclasses import dataclass

from experiment.config import PRECISIONS, Settings, setting
from experiment.errors import InputError

ADVICE = "run scripts/train_rnn.py first, or again after deleting the folder"


def checked_temperature(temperature: float) -> float:
    """Return the temperature of a dream; InputError where it is not above 0."""
    if not temperature > 0 or temperature == float("inf"):
        raise InputError(f"temperature {temperature}: must be a number above 0")
    return float(temperature)


@dataclass(frozen=True)
class SeriesConfig(Settings):
    """Encoding every episode with V into (mu, logvar) series."""

    batch_size: int = setting(256, "frames encoded at once", unit="frames", least=2)
    shard_episodes: int = setting(100, "episodes in one series file", unit="episodes", least=1)
    initial_frames: int = setting(
        1000, "stored first-frame latents a dream starts from", unit="frames", source="authors' code", least=1
    )


@dataclass(frozen=True)
class RNNConfig(Settings):
    """M and its training. Defaults: the paper's Doom run; where it is silent, the authors' code."""

    hidden_size: int = setting(512, "LSTM units", unit="units", source="paper, appendix A.2", least=1)
    mixtures: int = setting(5, "mixture components of each latent dimension", source="paper, appendix A.2", least=1)
    done_head: bool = setting(True, "predict the end of the game, and read restart flags", source="paper, section 4.2")
    reward_head: bool = setting(False, "predict the reward of a step, so that C can be trained in a dream of it")
    regime: str = setting(
        "concatenated",
        "concatenated: episodes joined, cut into rows, state carried over; episodes: whole episodes from a zero state",
        source="authors' code",
        choices=("concatenated", "episodes"),
    )
    batch_size: int = setting(100, "rows in an update", unit="rows", source="authors' code", least=1)
    sequence_length: int = setting(
        500, "steps in a row (episodes regime: longest episode)", unit="steps", source="authors' code", least=1
    )
    epochs: float = setting(
        20.0, "passes over the training series", unit="passes", source="paper, appendix A.2", above=0.0
    )
    learning_rate: float = setting(1e-3, "Adam's first step size", source="authors' code", above=0.0)
    minimum_learning_rate: float = setting(1e-5, "Adam's last step size", source="authors' code", least=0.0)
    decay: float = setting(0.99999, "factor on the step size with every update", source="authors' code", above=0.0)
    clip: float = setting(1.0, "gradients are clipped by value at", source="authors' code", above=0.0)
    done_weight: float = setting(10.0, "weight of a death in the done cost", source="authors' code", above=0.0)
    train_across_seam: bool = setting(
        False, "also predict z from one episode's end to the next one's start (the authors' code does)"
    )
    patience: int = setting(
        0,
        "stop after so many validations without a lower held-out loss, keeping the best; "
        "0: train to the end, keep the last",
        unit="validations",
        least=0,
    )
    validate_every: int = setting(200, "updates between validations", unit="updates", least=1)
    validation_frames: int = setting(50000, "held-out frames in each validation", unit="frames", least=10)
    checkpoint_seconds: float = setting(90.0, "time between checkpoints", unit="s", above=0.0)
    precision: str = setting("float32", "arithmetic of the products", choices=PRECISIONS)
