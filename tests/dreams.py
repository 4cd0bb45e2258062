"""Dreams by untrained networks, and how they are played to the end."""

import numpy as np

from doomrnn.scripted import TakeCoverScript
from experiment.random_streams import Purpose
from rnn.dream import Dream
from rnn.model import MDNRNN
from rnn.series import InitialLatents
from rollouts.dream_player import DreamPlayer
from rollouts.rollout import Outcome, Rollout

Z, H = 64, 512  # Doom's


def make_model(z_size: int = Z, hidden: int = H, done_bias: float | None = None) -> MDNRNN:
    """An untrained M whose dreams end now and then, or by a constant done logit alone."""
    model = MDNRNN(z_size, 1, hidden, 5, done_head=True, seed=1)
    kernel, bias = np.array(model.head.kernel), np.array(model.head.bias)
    kernel[:, -1] = 0.0 if done_bias is not None else kernel[:, -1] * 40
    bias[-1] = -7.0 if done_bias is None else done_bias
    model.head.kernel.assign(kernel)
    model.head.bias.assign(bias)
    return model


def make_dream(model: MDNRNN, temperature: float = 1.15) -> Dream:
    """M's dream from 20 first frames."""
    rng = np.random.default_rng(0)
    mu, logvar = rng.normal(size=(20, model.z_size)), rng.normal(-2, 1, (20, model.z_size))
    return Dream(model, InitialLatents(mu.astype(np.float32), logvar.astype(np.float32)), temperature)


def scripted(count: int, script: TakeCoverScript) -> list[Rollout]:
    """Dreams of a script."""
    return [Rollout(n, "dream", Purpose.EVALUATE.stream(0, episode=n), script) for n in range(count)]


def play(player: DreamPlayer, work: list[Rollout]) -> dict[int, Outcome]:
    """All outcomes of a player that is refilled whenever there is room."""
    waiting, outcomes = list(work), {}
    while waiting or player.live():
        player.add([waiting.pop(0) for _ in range(min(player.room(), len(waiting)))])
        assert player.live() <= player.capacity
        for outcome in player.advance():
            assert outcome.id not in outcomes
            outcomes[outcome.id] = outcome
    return outcomes
