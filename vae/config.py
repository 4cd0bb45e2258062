"""Settings of V."""

from dataclasses import dataclass

from experiment.config import FASTER, PRECISIONS, Settings, setting

NEW = "new"  # the start of a V that goes on from no other
ADVICE = "run scripts/train_vae.py first, or again after deleting the folder"


@dataclass(frozen=True)
class VAEConfig(Settings):
    """V and its training. Defaults: the paper's Doom run."""

    z_size: int = setting(64, "size of the latent vector z", unit="numbers", source="paper, appendix A.1", least=1)
    kl_tolerance: float = setting(
        0.5, "floor of the KL term per latent dimension", unit="nats", source="authors' code", least=0.0
    )
    learning_rate: float = setting(1e-4, "Adam's initial learning rate", source="authors' code", above=0.0)
    final_learning_rate: float = setting(
        0.0, "final learning rate (linear decay); 0: constant", source="authors' code", least=0.0
    )
    start: str = setting(NEW, "run whose V is trained further; new: random weights", unit="folder", added=True)
    batch_size: int = setting(100, "batch size", unit="frames", source="authors' code", least=1)
    epochs: float = setting(
        1.0, "passes over the training frames", unit="passes", source="paper, appendix A.1", above=0.0
    )
    shuffle_megabytes: int = setting(1000, "memory for shuffling frames across episodes", unit="MB", least=10)
    max_frames: int = setting(0, "training frames, taken evenly from all episodes; 0: all", unit="frames", least=0)
    validation_frames: int = setting(2000, "held-out frames in each validation", unit="frames", least=10)
    validate_every: int = setting(1000, "interval of validations", unit="updates", least=1)
    checkpoint_seconds: float = setting(90.0, "interval of checkpoints", unit="s", above=0.0)
    precision: str = setting("float32", f"precision of convolutions; {FASTER}", choices=PRECISIONS)
