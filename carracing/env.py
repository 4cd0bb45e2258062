"""The real task: CarRacing (paper, section 3), as an engine of its own and as a Gymnasium environment.

Physics, tracks, rewards and the end of an episode are Gymnasium's CarRacing-v3, untouched; what V sees is rendered by
`carracing.render` unless Gymnasium's own renderer is requested.
"""

import contextlib
from collections.abc import Iterator
from typing import Any, ClassVar

import gymnasium
import numpy as np
from Box2D.b2 import fixtureDef
from gymnasium.envs.box2d import car_dynamics
from gymnasium.envs.box2d.car_racing import CarRacing

from carracing.config import FRAMES_PER_SECOND, RENDERERS, VIEWS, CarRacingEnvConfig
from carracing.render import KEPT_ROWS, SIZE, Renderer, Road, resize
from experiment.arrays import checked_whole
from rollouts.game_env import GameEnv
from vae.preprocessing import PREPROCESSES, stretched, wrapped

LOW, HIGH = np.array([-1.0, 0.0, 0.0], np.float32), np.ones(3, np.float32)  # steer, gas, brake


class Circuit(CarRacing):
    """Gymnasium's CarRacing with its renderer replaced; `observation` is what V sees, uint8 [64, 64, 3].

    view: of `carracing.render`, or None for Gymnasium's own renderer. stretch: the contrast of each frame, as the
    authors' resize does (see `vae.preprocessing`).
    """

    def __init__(self, view: str | None, stretch: bool = False) -> None:
        super().__init__(render_mode="state_pixels")
        self._renderer, self._stretch = Renderer(view, stretch) if view else None, stretch
        self._road: Road | None = None
        self.observation = np.zeros((SIZE, SIZE, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Begin the track of a seed; returns Gymnasium's observation, which is black where ours is rendered."""
        self._road = None
        with definitions_made_once():
            return super().reset(seed=seed, options=options)

    def _render(self, mode: str) -> Any:
        """Render the state; Gymnasium's step calls it for the observation once physics is done."""
        if mode != "state_pixels":
            return super()._render(mode)
        if self._renderer is None:
            frame = super()._render(mode)
            self.observation = resize(stretched(frame[:KEPT_ROWS]) if self._stretch else frame)
            return frame
        if self._road is None:
            self._road = Road(self)
        self.observation = self._renderer.cropped(self, self._road)
        return _UNSEEN


_UNSEEN = np.zeros((96, 96, 3), np.uint8)


@contextlib.contextmanager
def definitions_made_once() -> Iterator[None]:
    """Within, Gymnasium's cars are built from shared definitions of their fixtures, of the same values.

    Box2D's Python binding never frees the shape of such a definition, 304 bytes (measured), and Gymnasium makes eight
    of them with every reset: 24 MB in 10,000 episodes.
    """
    original = car_dynamics.fixtureDef
    car_dynamics.fixtureDef = _definition
    try:
        yield
    finally:
        car_dynamics.fixtureDef = original


_definitions: dict[tuple, Any] = {}


def _definition(shape: Any, **values: float) -> Any:
    key = (tuple(shape.vertices), *sorted(values.items()))
    if key not in _definitions:
        _definitions[key] = fixtureDef(shape=shape, **values)
    return _definitions[key]


class CarRacingGame:
    """One CarRacing environment.

    The same seed and actions give the same observations, rewards and end, whatever was played before.

    Args:
        time_limit: steps after which an episode is truncated (CarRacing-v0: 1,000).
        renderer: "fast" or "gymnasium".
        view: "v3", or "v0" for the view of 2018.
        preprocess: one of `vae.preprocessing`; "authors" for their released weights.
        endless: neither the lap's end nor the field's edge ends the episode (authors' code, for collecting); what
            comes after one earns nothing, where Gymnasium would pay -100 on every further step.
    Raises:
        ValueError: a setting is out of range.
    """

    def __init__(
        self,
        *,
        time_limit: int = CarRacingEnvConfig.time_limit,
        renderer: str = CarRacingEnvConfig.renderer,
        view: str = CarRacingEnvConfig.view,
        preprocess: str = CarRacingEnvConfig.preprocess,
        endless: bool = False,
    ) -> None:
        checked_whole("time_limit", time_limit, 1)
        if renderer not in RENDERERS or view not in VIEWS:
            raise ValueError(f"there is no renderer {renderer!r} with a view {view!r}")
        if renderer == "gymnasium" and view != "v3":
            raise ValueError(f"Gymnasium renders the view 'v3' only, not {view!r}; use renderer='fast'")
        if preprocess not in PREPROCESSES:
            raise ValueError(f"preprocess must be one of {', '.join(PREPROCESSES)}, not {preprocess!r}")
        self.time_limit, self.endless, self._wraps = time_limit, endless, preprocess == "authors"
        self.circuit = Circuit(view if renderer == "fast" else None, preprocess != "plain")
        self._steps, self._over, self._ended = 0, True, False

    def reset(self, seed: int) -> np.ndarray:
        """Begin the track of this seed (0 to 2**32 - 1); returns the first observation, uint8 [64, 64, 3]."""
        self._steps, self._over, self._ended = 0, False, False
        self.circuit.reset(seed=int(seed))
        return self._observation()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool]:
        """Play one step of 1/50 s.

        Args:
            action: float [3], steer in [-1, 1], gas and brake in [0, 1].
        Returns:
            observation: uint8 [64, 64, 3]; the reward; terminated: the lap is done or the field left;
            truncated: `time_limit` steps are done.
        Raises:
            ValueError: the action is out of range or not finite.
            RuntimeError: no episode is under way.
        """
        action = checked(action)
        if self._over:
            raise RuntimeError("no episode is under way: call reset(seed) first")
        _, reward, terminated, _, _ = self.circuit.step(action)
        self._steps += 1
        reward, self._ended = 0.0 if self._ended else float(reward), self._ended or bool(terminated)
        terminated = bool(terminated) and not self.endless
        truncated = not terminated and self._steps >= self.time_limit
        self._over = terminated or truncated
        return self._observation(), reward, terminated, truncated

    def _observation(self) -> np.ndarray:
        frame = self.circuit.observation
        return wrapped(frame) if self._wraps else frame

    def close(self) -> None:
        """Close the environment. Closing twice does no harm."""
        self._over = True
        self.circuit.close()


def checked(action: Any) -> np.ndarray:
    """Return an action as float32 [3]; ValueError where it is not one."""
    with contextlib.suppress(ValueError, TypeError):  # words, ragged lists
        numbers = np.asarray(action, np.float32)
        if numbers.shape == (3,):
            steer, gas, brake = numbers.tolist()
            if -1 <= steer <= 1 and 0 <= gas <= 1 and 0 <= brake <= 1:
                return numbers
    raise ValueError(f"action must be three numbers, steer in [-1, 1], gas and brake in [0, 1], not {action}")


class CarRacing64(GameEnv):
    """CarRacing as V sees it, as a Gymnasium environment (`WorldModels/CarRacing-v0`).

    Observations are uint8 [64, 64, 3]; actions float32 [3]: steer in [-1, 1], gas and brake in [0, 1]. `reset(seed=s)`
    begins the track of CarRacing-v3's seed s; see `GameEnv.reset`.

    Args:
        render_mode: None, or "rgb_array": `render` returns Gymnasium's frame, uint8 [400, 600, 3].
        settings: see `CarRacingGame`.
    """

    metadata: ClassVar = GameEnv.metadata | {"render_fps": FRAMES_PER_SECOND}

    def __init__(self, *, render_mode: str | None = None, **settings: Any) -> None:
        super().__init__(lambda: CarRacingGame(**settings), gymnasium.spaces.Box(LOW, HIGH), render_mode)

    def picture(self) -> np.ndarray:
        """Return Gymnasium's frame uint8 [400, 600, 3]."""
        return self.game.circuit._render("rgb_array")
