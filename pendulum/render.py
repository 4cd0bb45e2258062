"""The pendulum's observation, rendered straight to 64 x 64 from the angle.

Gymnasium renders a window of 500 x 500 pixels: a white ground, a rod with round ends and a black axle. It also overlays
an arrow of the last torque, which is left out here: M is told the action, and a frame shows the angle alone.

Its colours are one palette of two. On the other, "grey", the ground is what V's sigmoid gives before it has learned
anything, so that the rod is all that there is to learn; on white, V first saturates and then hardly learns (measured:
docs/pendulum.md).
"""

import math

import numpy as np

from experiment.compiled import compiled

SIZE = 64
WINDOW, BOUND = 500, 2.2  # Gymnasium's window in pixels, and how far it reaches from the axle in rod lengths
VIEWS = {"close": 300, "whole": 500}  # the middle of Gymnasium's window that a view shows, in its pixels
ROD, AXLE = 0.1, 0.05  # radii in rod lengths
PALETTES = {  # ground, rod, axle
    "grey": np.array([(128, 128, 128), (255, 0, 0), (0, 0, 0)], np.float64),
    "gymnasium": np.array([(255, 255, 255), (204, 77, 77), (0, 0, 0)], np.float64),
}
SUBPIXELS = 8  # along a side, for the axle, which never moves


class Renderer:
    """Renders angles in one view and palette.

    view: "close", where the pendulum fills the frame, or "whole", Gymnasium's window. palette: one of `PALETTES`.
    """

    def __init__(self, view: str = "close", palette: str = "grey"):
        self._colors = PALETTES[palette]
        self.pixels_per_rod = SIZE / (2 * BOUND * VIEWS[view] / WINDOW)  # pixels of the observation to a rod length
        self._axle = self._disc(AXLE)

    def __call__(self, angle: float) -> np.ndarray:
        """Return the frame uint8 [64, 64, 3] of a rod at an angle in radians, 0 upright, growing counterclockwise."""
        frame = np.empty((SIZE, SIZE, 3), np.uint8)
        frame[:] = self._colors[0]
        _draw(frame, float(angle), self.pixels_per_rod, self._axle, self._colors)
        return frame

    def _disc(self, radius: float) -> np.ndarray:
        """Return how much of each pixel a disc around the axle covers, float64 [64, 64]."""
        side = SIZE * SUBPIXELS
        centers = (np.arange(side) + 0.5 - side / 2) / (self.pixels_per_rod * SUBPIXELS)
        inside = np.hypot(centers[None, :], centers[:, None]) <= radius
        return inside.reshape(SIZE, SUBPIXELS, SIZE, SUBPIXELS).mean((1, 3))


@compiled
def _draw(frame, angle, scale, axle, colors):
    """Render rod and axle onto the ground uint8 [64, 64, 3]; a pixel is covered by its distance from the rod's edge."""
    right, up = -math.sin(angle), math.cos(angle)
    reach = ROD + 1 / scale
    for row in range(SIZE):
        y = (SIZE / 2 - 0.5 - row) / scale
        if not min(0.0, up) - reach < y < max(0.0, up) + reach:
            continue
        for column in range(SIZE):
            x = (column + 0.5 - SIZE / 2) / scale
            along = min(max(x * right + y * up, 0.0), 1.0)
            distance = math.hypot(x - along * right, y - along * up)
            covered = min(max((ROD - distance) * scale + 0.5, 0.0), 1.0)
            if covered > 0:
                for channel in range(3):
                    value = colors[0, channel] + covered * (colors[1, channel] - colors[0, channel])
                    value += axle[row, column] * (colors[2, channel] - value)
                    frame[row, column, channel] = round(value)
