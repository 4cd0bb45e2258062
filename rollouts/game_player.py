"""Real games played in batches, by scripts or by the agent; each rank carries one such batch."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from experiment.random_streams import Purpose
from rollouts.games import Games
from rollouts.rollout import BLOCK, Outcome, Rollout
from rollouts.scripted import Script
from vae.episodes import Episode, episode_bytes


class Actor(Protocol):
    """Who chooses the actions of a batch of games."""

    def start(self, slot: int, rollout: Rollout, rng: np.random.Generator) -> None:
        """Start a rollout in this slot."""

    def act(self, slots: list[int], observations: np.ndarray) -> np.ndarray:
        """Return the actions float32 [n, A] on observations uint8 [n, 64, 64, 3] of the slots named."""


class ScriptActor:
    """Plays scripts: all actions of a rollout are drawn when it starts."""

    def __init__(self, slots: int, time_limit: int, action_size: int):
        self._actions: list[np.ndarray] = [np.zeros((0, action_size), np.float32)] * slots
        self._step = [0] * slots
        self._time_limit = time_limit

    def start(self, slot: int, rollout: Rollout, rng: np.random.Generator) -> None:
        """Draw the script of a rollout."""
        assert isinstance(rollout.policy, Script)
        self._actions[slot], self._step[slot] = rollout.policy.actions(rng, self._time_limit), 0

    def act(self, slots: list[int], observations: np.ndarray) -> np.ndarray:
        """Return the next action of each slot's script."""
        actions = np.stack([self._actions[slot][self._step[slot]] for slot in slots])
        for slot in slots:
            self._step[slot] += 1
        return actions


class _Slot(NamedTuple):
    """A game under way."""

    rollout: Rollout
    observation: list[np.ndarray]  # the last one only, unless it is recorded
    action: list[np.ndarray]
    reward: list[float]


class GamePlayer:
    """A batch of real games, refilled as they end.

    The seed of a rollout's game comes from the rollout's own stream. With `minimum_length` given the episodes are
    recorded, and those at least so long come back as files.

    stall: a rollout of a fitness ends after so many steps in a row without a reward above 0 (0: never), and the steps
    left of `time_limit` count as its last one does.
    """

    def __init__(
        self,
        games: Games,
        actor: Actor,
        minimum_length: int | None = None,
        stall: int = 0,
        time_limit: int = 0,
    ):
        self.games, self.actor, self.minimum_length = games, actor, minimum_length
        self.stall, self.time_limit = stall, time_limit
        self._slots: dict[int, _Slot] = {}

    def live(self) -> int:
        """Return how many games are under way."""
        return len(self._slots)

    def room(self) -> int:
        """Return how many more can start."""
        return len(self.games) - len(self._slots)

    def add(self, rollouts: Sequence[Rollout]) -> None:
        """Start games in free slots."""
        free = [slot for slot in range(len(self.games)) if slot not in self._slots]
        for slot, rollout in zip(free, rollouts, strict=False):
            self.actor.start(slot, rollout, rollout.rng())
            first = self.games.reset(slot, rollout.stream.engine_seed())
            self._slots[slot] = _Slot(rollout, [first], [], [])

    def drop(self, ids: set[int]) -> None:
        """Forget games."""
        self._slots = {slot: game for slot, game in self._slots.items() if game.rollout.id not in ids}

    def advance(self) -> list[Outcome]:
        """Play all games for a block of steps, fewer where one ends."""
        ended: list[Outcome] = []
        for _ in range(BLOCK):
            if ended or not self._slots:
                break
            ended = self._step()
        return ended

    def _step(self) -> list[Outcome]:
        slots = list(self._slots)
        actions = self.actor.act(slots, np.stack([self._slots[slot].observation[-1] for slot in slots]))
        steps = self.games.step(slots, actions)
        ended = []
        for row, slot in enumerate(slots):
            game = self._slots[slot]
            game.action.append(actions[row])
            game.reward.append(float(steps.rewards[row]))
            over = steps.terminated[row] or steps.truncated[row]
            if over or self._stalled(game):
                ended.append(self._outcome(game, bool(steps.terminated[row]), stalled=not over))
                del self._slots[slot]
            else:
                if self.minimum_length is None:
                    game.observation.clear()
                game.observation.append(steps.observations[row])
        return ended

    def _stalled(self, game: _Slot) -> bool:
        """Return whether a rollout of a fitness has earned nothing for `stall` steps."""
        trains = self.stall and game.rollout.stream.purpose is Purpose.FITNESS
        return bool(trains) and len(game.reward) >= self.stall and max(game.reward[-self.stall :]) <= 0

    def _outcome(self, game: _Slot, terminated: bool, stalled: bool) -> Outcome:
        length, episode = len(game.reward), None
        if self.minimum_length is not None and length >= self.minimum_length:
            last = np.arange(length) == length - 1
            action, reward = np.stack(game.action).astype(np.float32), np.array(game.reward, np.float32)
            flags = last & terminated, last & (not terminated)
            episode = episode_bytes(Episode(np.stack(game.observation), action, reward, *flags))
        rest = (self.time_limit - length) * game.reward[-1] if stalled else 0.0
        return Outcome(game.rollout.id, sum(game.reward) + rest, length, episode)
