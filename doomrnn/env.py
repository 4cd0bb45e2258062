"""The real task: "take cover" in ViZDoom (paper, section 4), as an engine of its own and as a Gymnasium environment.

The player stands at one side of a room, monsters at the other throw fireballs, and the score is the number of
steps survived, at most 2,100. `TakeCoverGame` owns one engine process, `DoomTakeCover` is the Gymnasium form,
and `doomrnn.games.TakeCoverGames` steps many of them together. The task is the paper's, not ViZDoom's stock
`take_cover.cfg`: status bar and flashes on, first observation at tic 14, one tic a step (authors' code).
"""

import functools
import logging
import math
from collections.abc import Callable
from typing import Any, ClassVar

import gymnasium
import numpy as np
import vizdoom

from doomrnn.config import FRAMES_PER_SECOND, DoomEnvConfig
from doomrnn.engine import DEATHS, configure, start
from doomrnn.shared_memory import room_for_an_engine
from experiment.arrays import checked_numbers, checked_whole
from rollouts.game_env import GameEnv
from vae.preprocessing import PREPROCESSES, covered, stretched, wrapped

log = logging.getLogger(__name__)

ACTION_THRESHOLD = 1 / 3  # authors' code: the action's range is cut into three equal parts
ROWS_FIRST = 320  # pixels of a screen's width, above which it is shrunk by rows first; the sums are the same
RESTARTS = 3  # ours: attempts to start an engine again before giving up


@functools.lru_cache
def _overlaps(n_in: int, n_out: int) -> np.ndarray:
    """Return float32 [n_out/g, n_in/g], g = gcd: how much of each input cell each output cell covers.

    The unit is 1/(n_out/g) of an input cell, so the weights are whole numbers and each row adds up to n_in/g.
    """
    g = math.gcd(n_in, n_out)
    return covered(n_in // g, n_out // g).astype(np.float32)


@functools.lru_cache
def _column_weights(width: int, size: int) -> np.ndarray:
    """Return `_overlaps` for interleaved RGB columns, transposed: float32 [3·width/g, 3·size/g]."""
    return np.kron(_overlaps(width, size).T, np.eye(3, dtype=np.float32))


def observe(screen: np.ndarray, size: int = 64, preprocess: str = "plain") -> np.ndarray:
    """Return what V sees of the engine's screen: the upper 5/6, area-averaged.

    The crop removes most of the status bar (authors' code: rows 0-399 of 480 are kept). The sums are of whole
    numbers, so the result is the same on every machine. From 160×120 to 64×64 it is OpenCV's INTER_AREA, byte
    for byte, in half the time (measured); a mean of exactly one half, possible from 640×480, is rounded up.

    Args:
        screen: uint8 [height, width, 3].
        size: side of the observation, pixels.
        preprocess: one of `vae.preprocessing`.
    Returns:
        uint8 [size, size, 3].
    """
    height, width = screen.shape[0] * 5 // 6, screen.shape[1]
    rows, columns = _overlaps(height, size), _column_weights(width, size)
    crop = screen[:height] if preprocess == "plain" else stretched(screen[:height])
    if width > ROWS_FIRST:  # two thirds of the time from 640×480; a fifth more from 160×120 (measured)
        x = rows @ crop.reshape(-1, rows.shape[1], 3 * width).astype(np.float32)
        x = x.reshape(-1, columns.shape[0]) @ columns
    else:
        x = crop.reshape(-1, columns.shape[0]).astype(np.float32) @ columns
        x = rows @ x.reshape(-1, rows.shape[1], 3 * size)  # [blocks, rows of a block, 3·size]
    x /= rows.shape[1] * (columns.shape[0] // 3)
    x += 0.5
    frame = x.astype(np.uint8).reshape(size, size, 3)
    return wrapped(frame) if preprocess == "authors" else frame


def buttons(action: float) -> list[bool]:
    """Return the two buttons (move left, move right) of a continuous action in [-1, 1].

    Below -1/3 is left, above 1/3 is right, between them and on the thresholds neither (authors' code).

    Raises:
        ValueError: the action is not a number in [-1, 1].
    """
    if not -1 <= action <= 1:  # nor is NaN
        raise ValueError(f"action must be a finite number in [-1, 1], not {action}")
    return [bool(action < -ACTION_THRESHOLD), bool(action > ACTION_THRESHOLD)]


class TakeCoverGame:
    """One take cover environment, played in one engine process that is started at the first `reset`.

    The same seed and actions give the same observations, whatever was played before, in any engine. An engine
    that dies is started again and the episode played again up to where it was: only the log tells.

    Args:
        skill: Doom's skill, 1 to 5; the paper's task is 4 (5 is far harder, measured).
        time_limit: steps after which an episode is truncated (paper, section 4.1: 2,100).
        start_time: tic of the first observation, the weapon having been raised (authors' code: 14).
        width, height: the engine's screen, pixels, a resolution of ViZDoom (authors' code: 640×480; ours:
            160×120, seven times as fast).
        observation_size: side of the observation, pixels (paper: 64).
        preprocess: one of `vae.preprocessing`; "authors" for their released weights.
    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        *,
        skill: int = DoomEnvConfig.skill,
        time_limit: int = DoomEnvConfig.time_limit,
        start_time: int = DoomEnvConfig.start_time,
        width: int = DoomEnvConfig.width,
        height: int = DoomEnvConfig.width * 3 // 4,
        observation_size: int = 64,
        preprocess: str = DoomEnvConfig.preprocess,
    ) -> None:
        checked_whole("skill", skill, 1, 5)
        checked_whole("time_limit", time_limit, 1, 2**31 - 1)
        checked_whole("start_time", start_time, 1, 2**31 - 1)
        resolution = getattr(vizdoom.ScreenResolution, f"RES_{width}X{height}", None)
        if resolution is None:
            raise ValueError(f"ViZDoom has no screen of {width}x{height}; it has 160x120 and 640x480, say")
        checked_whole("observation_size", observation_size, 1, min(width, height * 5 // 6))
        if preprocess not in PREPROCESSES:
            raise ValueError(f"preprocess must be one of {', '.join(PREPROCESSES)}, not {preprocess!r}")
        self.time_limit = time_limit
        self.observation_size = observation_size
        self._preprocess = preprocess
        self._configure = functools.partial(configure, skill, start_time, resolution)
        self._engine: vizdoom.DoomGame | None = None
        self._blank = np.zeros((height, width, 3), np.uint8)
        self._seed = 0
        self._pressed: list[list[bool]] = []
        self._over = True

    def reset(self, seed: int) -> np.ndarray:
        """Begin the episode of this seed.

        Args:
            seed: 0 to 2**32 - 1.
        Returns:
            The first observation, uint8 [observation_size, observation_size, 3].
        Raises:
            ValueError: the seed is out of range.
            RuntimeError: the engine cannot be started.
        """
        checked_whole("seed", seed, 0, 2**32 - 1)
        self._seed, self._pressed, self._over = int(seed), [], False
        self._run(self._begin)
        return self.observation_of(self.screen)

    def step(self, action: float) -> tuple[np.ndarray, float, bool, bool]:
        """Play one tic (1/35 s).

        Args:
            action: left, stay or right as a number in [-1, 1]; see `buttons`.
        Returns:
            observation: uint8 [observation_size, observation_size, 3]; zeros once the player is dead: the
                engine shows nothing then.
            reward: 1.0 on every step, the one of death included.
            terminated: the player is dead.
            truncated: the player survives `time_limit` steps.
        Raises:
            ValueError: the action is not a number in [-1, 1].
            RuntimeError: no episode is under way, or the engine cannot be started again.
        """
        screen, terminated, truncated = self.advance(action)
        return self.observation_of(screen), 1.0, terminated, truncated

    def advance(self, action: float) -> tuple[np.ndarray, bool, bool]:
        """Play one tic like `step`, and return the screen in place of the observation, terminated and truncated."""
        pressed = buttons(action)
        if self._over:
            raise RuntimeError("no episode is under way: call reset(seed) first")
        self._pressed.append(pressed)
        self._run(lambda: self._engine.make_action(pressed))
        terminated = self._engine.is_episode_finished()
        truncated = not terminated and len(self._pressed) >= self.time_limit
        self._over = terminated or truncated
        return self.screen, terminated, truncated

    def observation_of(self, screen: np.ndarray) -> np.ndarray:
        """Return what V sees of a screen, uint8 [observation_size, observation_size, 3]."""
        return observe(screen, self.observation_size, self._preprocess)

    @property
    def screen(self) -> np.ndarray:
        """The engine's whole screen now, uint8 [height, width, 3]; zeros when it shows none."""
        state = self._engine.get_state() if self._engine and self._engine.is_running() else None
        return self._blank.copy() if state is None else state.screen_buffer

    def close(self) -> None:
        """End the engine process; `reset` starts another. Closing twice does no harm."""
        self._over = True
        if self._engine:
            self._engine.close()
            self._engine = None

    def _begin(self) -> None:
        if self._engine is None:
            with room_for_an_engine(self._blank.nbytes):
                self._engine = self._configure()
                start(self._engine)
        self._engine.set_seed(self._seed)
        self._engine.new_episode()

    def _run(self, command: Callable[[], Any]) -> None:
        """Give the engine a command; if it dies, play the episode so far in a new one."""
        try:
            command()
            return
        except DEATHS as error:
            death = error
        for _ in range(RESTARTS):
            steps = len(self._pressed)
            log.warning("ViZDoom died (%s); playing %d steps of seed %d again", death, steps, self._seed)
            try:
                self._replay()
                return
            except DEATHS as error:
                death = error
        self.close()
        raise RuntimeError(f"ViZDoom died {RESTARTS} times in a row while starting again: {death}") from death

    def _replay(self) -> None:
        self._engine = None  # an object whose engine died while changing maps never begins another episode
        self._begin()
        for pressed in self._pressed:
            # Rendered like the first time: the engine's rendering changes later frames (measured).
            self._engine.make_action(pressed)


class DoomTakeCover(GameEnv):
    """Take cover as a Gymnasium environment (`WorldModels/DoomTakeCover-v0`).

    Observations are uint8 [64, 64, 3], zeros after death; actions are float32 [1] in [-1, 1], see `buttons`;
    the reward is 1 a step; death terminates, `time_limit` steps truncate. `reset(seed=s)` starts the episode of
    seed s; see `GameEnv.reset`.

    Args:
        render_mode: None, or "rgb_array": `render` returns the engine's whole screen, status bar included,
            uint8 [height, width, 3].
        settings: see `TakeCoverGame`.
    """

    metadata: ClassVar = GameEnv.metadata | {"render_fps": FRAMES_PER_SECOND}

    def __init__(self, *, render_mode: str | None = None, **settings: Any) -> None:
        actions = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        super().__init__(lambda: TakeCoverGame(**settings), actions, render_mode)
        size = self.game.observation_size
        self.observation_space = gymnasium.spaces.Box(0, 255, (size, size, 3), np.uint8)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """Play one tic with an action float [1]; see `TakeCoverGame.step`."""
        return super().step(float(checked_numbers("action", action, (1,), -1, 1)[0]))

    def picture(self) -> np.ndarray:
        """Return the engine's whole screen, uint8 [height, width, 3]."""
        return self.game.screen
