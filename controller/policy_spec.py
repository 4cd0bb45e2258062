"""What a controller's flat weights mean; apart from its arithmetic, so that nothing heavy is loaded to know it."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class PolicyShape:
    """What a controller's weights mean.

    variant: what it sees: z, zh (z and h), zch (z, c and h), or z_hidden (z through a layer of `hidden_units` tanh).
    z_size, state_size, outputs: Z, H, A. bias: whether layers have one (CarRacing's do, Doom's do not).
    """

    variant: str
    z_size: int
    state_size: int
    outputs: int
    bias: bool
    hidden_units: int = 40

    @property
    def inputs(self) -> int:
        """How many numbers it sees."""
        return self.z_size + {"z": 0, "z_hidden": 0, "zh": 1, "zch": 2}[self.variant] * self.state_size

    @property
    def sees_state(self) -> bool:
        """Whether M's state is among its inputs."""
        return self.variant in ("zh", "zch")

    @property
    def layers(self) -> list[tuple[int, int]]:
        """(inputs, outputs) of each layer."""
        if self.variant == "z_hidden":
            return [(self.inputs, self.hidden_units), (self.hidden_units, self.outputs)]
        return [(self.inputs, self.outputs)]

    @property
    def size(self) -> int:
        """P, the length of the flat weights: 1,088 for Doom's zch; 867, 99 and 1,443 for CarRacing's three."""
        return sum((n + self.bias) * m for n, m in self.layers)

    def config(self) -> dict[str, Any]:
        """Return the fields, as stored beside the weights."""
        return asdict(self)


def rounded(weights: np.ndarray) -> np.ndarray:
    """Return flat weights [..., P] as rollouts use them: 4 decimals, float32 (source: authors' code)."""
    return np.round(weights, 4).astype(np.float32)
