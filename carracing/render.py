"""CarRacing's observation, rendered from Gymnasium's own car and track, some 35 times as fast as Gymnasium renders it.

Gymnasium renders a window of 1,000 x 800 pixels and shrinks it to 96 x 96. Here only some pixels of that window are
rendered, a few to each pixel of the observation, with the same polygons in the same order, and averaged. Only what
the pixels are comes from here: physics, track, rewards and the end of an episode are Gymnasium's.

Letters: n polygons, r rows and c columns of samples, W and H of the window in its pixels. World coordinates are those
of the track, y up; the window's are pixels, y up as Gymnasium renders it before it flips it.
"""

import functools
import math
from typing import Any, NamedTuple

import numpy as np

from experiment.compiled import compiled
from vae.preprocessing import contrast_table

VIEWS = {"v3": (1000, 800), "v0": (1200, 1000)}  # the windows of Gymnasium's CarRacing-v3 and of the task of 2018
SIDE, KEPT_ROWS, SIZE = 96, 84, 64  # the observation, its rows above the bar of instruments, what V sees
DOWN, ACROSS = 2, 3  # rows and columns of samples in a pixel of the observation
SCALE, ZOOM, PLAYFIELD = 6.0, 2.7, 2000 / 6.0  # of gymnasium.envs.box2d.car_racing
SLOWEST = 0.5  # world units/s above which the camera of 2018 looks along the velocity
BLACK, FIELD, GRASS, ROAD, WHITE, RED, HULL, SPOKE = 0, 1, 2, 3, 6, 7, 8, 9  # ROAD to ROAD + 2: its three shades
COLORS = (
    *((0, 0, 0), (102, 204, 102), (102, 230, 102), (102, 102, 102), (104, 104, 104), (107, 107, 107)),
    *((255, 255, 255), (255, 0, 0), (204, 0, 0), (77, 77, 77)),
)
LOST = 2  # what a colour loses when pygame's smoothscale shrinks the window (measured)
FIELD_BITS = 20  # of a channel in a packed colour; one addition then sums all three
PALETTE = np.maximum(np.array(COLORS, np.int64) - LOST, 0)
# as the task of 2018 rendered them, straight to 96 x 96 by OpenGL (read off the authors' published frames)
PALETTE_2018 = np.array([{2: (102, 229, 102), 4: (105, 105, 105)}.get(n, rgb) for n, rgb in enumerate(COLORS)])


class Road:
    """The polygons of one track: vertices float64 [n, 4, 2] in world coordinates, and the colour of each.

    Gymnasium greys a tile when a car touches it, in place; so the tiles' colours are moved into one array that both
    see, `shades` [n, 3]. `places` [n, 2] are the first vertices, beside each other so that looking which are near
    reads little memory.
    """

    def __init__(self, env: Any):
        self.vertices = np.array([[tuple(point) for point in polygon] for polygon, _ in env.road_poly])
        self.places = self.vertices[:, 0].copy()
        self.shades = np.array([np.asarray(color, np.float64) for _, color in env.road_poly])
        tiles = {id(color): number for number, (_, color) in enumerate(env.road_poly)}
        for tile in env.road:
            number = tiles[id(tile.color)]
            tile.color = self.shades[number]
            env.road_poly[number] = (env.road_poly[number][0], tile.color)


class Renderer:
    """Renders observations of one view ("v3" or "v0").

    It keeps little of its own: what many environments share stays in the processor's cache.

    stretch: `cropped` stretches the contrast of each frame (see `vae.preprocessing`).
    """

    def __init__(self, view: str = "v3", stretch: bool = False):
        self.view = view
        self._stretched = (PALETTE_2018 if view == "v0" else PALETTE) if stretch else None
        self._grid = _grid(view)
        self._bodies = np.zeros((5, 4))

    def cropped(self, env: Any, road: Road) -> np.ndarray:
        """Return what V sees: the rows above the bar, area-averaged, uint8 [64, 64, 3]."""
        samples = self._render(env, road)
        return _resize(_sum(samples, self._packed(samples)), DOWN * ACROSS)

    def _packed(self, samples: np.ndarray) -> np.ndarray:
        """Return the packed colours of the frame just rendered, stretched between its own extremes where requested."""
        if self._stretched is None:
            return _PACKED
        shown = np.bincount(samples.ravel(), minlength=len(COLORS)) > 0
        palette = self._stretched
        return _pack(contrast_table(int(palette[shown].min()), int(palette[shown].max()))[palette])

    def _render(self, env: Any, road: Road) -> np.ndarray:
        """Return the samples of the rows above the bar, uint8 [r, c]."""
        hull, bodies = env.car.hull, self._bodies
        bodies[0] = *hull.position, hull.angle, 0.0
        for row, wheel in zip(bodies[1:], env.car.wheels, strict=True):
            row[:] = *wheel.position, wheel.angle, wheel.phase
        grid = self._grid
        camera = bodies[0, 0], bodies[0, 1], self._angle(hull), _zoom(env.t), *VIEWS[self.view]
        return _rasterize(grid.ys, grid.first, road.places, road.vertices, road.shades, bodies, camera)

    def _angle(self, hull: Any) -> float:
        """Return how far the world is rotated on the screen, radians."""
        if self.view == "v0":
            vx, vy = hull.linearVelocity
            if math.hypot(vx, vy) > SLOWEST:
                return math.atan2(vx, vy)
        return -hull.angle


def resize(frame: np.ndarray) -> np.ndarray:
    """Return rows 0 to 83 of a frame uint8 [96, 96, 3] area-averaged to what V sees, uint8 [64, 64, 3]."""
    return _resize(_pack(frame[:KEPT_ROWS]), 1)


def _pack(colors: np.ndarray) -> np.ndarray:
    """Return colours [..., 3] as one number each, uint64 [...]."""
    red, green, blue = np.moveaxis(colors.astype(np.uint64), -1, 0)
    return red | green << FIELD_BITS | blue << 2 * FIELD_BITS


_PACKED = _pack(PALETTE)


def _zoom(t: float) -> float:
    """Return the window pixels of a world unit, t seconds after the start."""
    return 0.1 * SCALE * max(1 - t, 0) + ZOOM * SCALE * min(t, 1)


class _Grid(NamedTuple):
    """The samples of a view."""

    ys: np.ndarray  # int32 [r], falling: the row of the window of each row of samples above the bar
    first: np.ndarray  # int32 [W + 2]: the first column of samples at this column of the window or right of it


@functools.cache
def _grid(view: str) -> _Grid:
    width, height = VIEWS[view]
    xs, ys = _centres(SIDE * ACROSS, width), height - 1 - _centres(SIDE * DOWN, height)
    first = np.searchsorted(xs, np.arange(width + 2)).astype(np.int32)
    return _Grid(ys[: KEPT_ROWS * DOWN].copy(), first)


def _centres(samples: int, pixels: int) -> np.ndarray:
    """Return which of the window's pixels are rendered along one side, int32 [samples]: the centres of equal parts."""
    return ((np.arange(samples) + 0.5) * pixels / samples).astype(np.int32)


SIZE_UNIT = 0.02  # world units to a unit of the car's shapes; these are gymnasium's car_dynamics'
_HULL = (
    ((-60, 130), (60, 130), (60, 110), (-60, 110)),
    ((-15, 120), (15, 120), (20, 20), (-20, 20)),
    ((25, 20), (50, -10), (50, -40), (20, -90), (-20, -90), (-50, -40), (-50, -10), (-25, 20)),
    ((-50, -120), (50, -120), (50, -90), (-50, -90)),
)
_HULL_SIZES = np.array([len(part) for part in _HULL])
_HULL_POINTS = np.array([[*part, *[(0, 0)] * (8 - len(part))] for part in _HULL]) * SIZE_UNIT
_WHEEL_HALF_WIDTH, _WHEEL_RADIUS = 14 * SIZE_UNIT, 27 * SIZE_UNIT


@compiled
def _rasterize(ys, first, places, road, shades, bodies, camera):
    """Return the samples uint8 [r, c] of all polygons, rendered in Gymnasium's order.

    ys: int32 [r], first: int32 [W + 2], see `_Grid`. places: float64 [n, 2], road: float64 [n, 4, 2], shades: float64
    [n, 3], see `Road`. bodies: float64 [5, 4], of the hull and the four wheels: x, y, angle, and a wheel's phase.
    camera: (x, y, angle, zoom, W, H): where it looks in the world, how far the world is rotated in radians, the
    window's pixels of a world unit, and the window's size.
    """
    samples = np.full((len(ys), SIDE * ACROSS), BLACK, np.uint8)
    x, y, angle, zoom, width, height = camera
    cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
    dx, dy = width / 2 - (x * cos - y * sin), height / 4 - (x * sin + y * cos)
    view = (cos, sin, dx, dy)
    points = np.empty((8, 2))
    window = np.empty((8, 2), np.int32)
    points[0], points[1] = (PLAYFIELD, PLAYFIELD), (PLAYFIELD, -PLAYFIELD)
    points[2], points[3] = (-PLAYFIELD, -PLAYFIELD), (-PLAYFIELD, PLAYFIELD)
    _polygon(samples, ys, first, points, 4, FIELD, view, window)
    reach = math.hypot(width, height) / zoom  # world units: nothing farther from the car can be seen
    side = PLAYFIELD / 20
    for i in range(-20, 20, 2):
        if abs((i + 0.5) * side - x) > reach + side:
            continue
        for j in range(-20, 20, 2):
            if abs((j + 0.5) * side - y) > reach + side:
                continue
            points[0], points[1] = (side * i + side, side * j), (side * i, side * j)
            points[2], points[3] = (side * i, side * j + side), (side * i + side, side * j + side)
            _polygon(samples, ys, first, points, 4, GRASS, view, window)
    for number in range(len(road)):
        if abs(places[number, 0] - x) < reach + 16 and abs(places[number, 1] - y) < reach + 16:
            points[:4] = road[number]
            _polygon(samples, ys, first, points, 4, _shade(shades[number]), view, window)
    for number in range(1, 5):
        _wheel(samples, ys, first, bodies[number], view, points, window)
    for number in range(len(_HULL_SIZES)):
        _place(_HULL_POINTS[number], bodies[0], points)
        _polygon(samples, ys, first, points, _HULL_SIZES[number], HULL, view, window)
    return samples


@compiled
def _shade(color):
    """Return the palette's number of a tile's or a border's colour [3]."""
    if color[0] > 250:
        return WHITE if color[1] > 250 else RED
    return ROAD + (2 if color[0] >= 107 else 1 if color[0] >= 104 else 0)


@compiled
def _place(shape, body, points):
    """Rotate and move a shape float64 [k, 2] to where its body [4] = (x, y, angle, _) is, into points [8, 2]."""
    cos, sin = math.cos(body[2]), math.sin(body[2])
    for i in range(len(shape)):
        points[i, 0] = body[0] + cos * shape[i, 0] - sin * shape[i, 1]
        points[i, 1] = body[1] + sin * shape[i, 0] + cos * shape[i, 1]


@compiled
def _wheel(samples, ys, first, body, view, points, window):
    """Render a wheel, and the part of its rim that shows its rotation.

    body: float64 [4] = (x, y, angle, phase). For the rest see `_polygon`.
    """
    w, r = _WHEEL_HALF_WIDTH, _WHEEL_RADIUS
    shape = np.array([(-w, r), (w, r), (w, -r), (-w, -r)])
    _place(shape, body, points)
    _polygon(samples, ys, first, points, 4, BLACK, view, window)
    s1, s2 = math.sin(body[3]), math.sin(body[3] + 1.2)
    c1, c2 = math.cos(body[3]), math.cos(body[3] + 1.2)
    if s1 > 0 and s2 > 0:
        return
    if s1 > 0:
        c1 = np.sign(c1)
    if s2 > 0:
        c2 = np.sign(c2)
    shape[:2, 1], shape[2:, 1] = r * c1, r * c2
    _place(shape, body, points)
    _polygon(samples, ys, first, points, 4, SPOKE, view, window)


@compiled
def _polygon(samples, ys, first, points, count, color, view, window):
    """Fill a convex polygon as SDL_gfx does: whole vertices, its borders included.

    samples: uint8 [r, c], filled in place. ys: int32 [r], falling, and first: int32 [W + 2], see `_Grid`. points:
    float64 [8, 2], of which the first `count` are the vertices in the world. color: a number of the palette. view:
    (cos, sin, dx, dy), which map the world to the window: its rotation times the zoom, then its shift in pixels.
    window: int32 [8, 2], room for the vertices there.
    """
    cos, sin, dx, dy = view
    low, high, left, right = 1 << 30, -(1 << 30), 1 << 30, -(1 << 30)
    for i in range(count):
        wx = int(points[i, 0] * cos - points[i, 1] * sin + dx)
        wy = int(points[i, 0] * sin + points[i, 1] * cos + dy)
        window[i, 0], window[i, 1] = wx, wy
        low, high, left, right = min(low, wy), max(high, wy), min(left, wx), max(right, wx)
    width = len(first) - 2
    if high < ys[-1] or low > ys[0] or right < 0 or left >= width:
        return
    for row in range(len(ys)):  # ys fall
        y = ys[row]
        if y > high:
            continue
        if y < low:
            break
        start, end = 1e30, -1e30
        for i in range(count):
            j = i + 1 if i + 1 < count else 0
            y1, y2 = window[i, 1], window[j, 1]
            if (y1 <= y <= y2) or (y2 <= y <= y1):
                if y1 == y2:
                    a, b = float(window[i, 0]), float(window[j, 0])
                else:
                    a = window[i, 0] + (window[j, 0] - window[i, 0]) * ((y - y1) / (y2 - y1))
                    b = a
                start, end = min(start, a, b), max(end, a, b)
        begin, stop = int(math.floor(start + 0.5)), int(math.floor(end + 0.5))
        if stop >= 0 and begin < width:
            samples[row, first[max(begin, 0)] : first[min(stop, width - 1) + 1]] = color


@compiled
def _sum(samples, packed):
    """Return the sums of the samples uint8 [r, c] in each pixel, as packed colours uint64 [r / DOWN, c / ACROSS].

    packed: uint64, the packed colour of each number of the palette.
    A pixel has two rows (DOWN) of three samples (ACROSS), and there are at most 16 colours.
    """
    rows, columns = samples.shape[0] // DOWN, samples.shape[1] // ACROSS
    pairs = np.empty(256, np.uint64)  # of the colours of two samples, one above the other
    for upper in range(len(packed)):
        for lower in range(len(packed)):
            pairs[16 * upper + lower] = packed[upper] + packed[lower]
    sums = np.empty((rows, columns), np.uint64)
    both = np.empty(samples.shape[1], np.uint8)
    for i in range(rows):
        for j in range(len(both)):
            both[j] = (samples[DOWN * i, j] << 4) | samples[DOWN * i + 1, j]
        for j in range(columns):
            sums[i, j] = pairs[both[ACROSS * j]] + pairs[both[ACROSS * j + 1]] + pairs[both[ACROSS * j + 2]]
    return sums


@compiled
def _resize(sums, samples):
    """Area-average packed sums of so many samples, uint64 [84, 96], to uint8 [64, 64, 3], halves upwards."""
    two, wide = np.uint64(2), np.empty((KEPT_ROWS, SIZE), np.uint64)
    for i in range(KEPT_ROWS):
        for pair in range(SIZE // 2):  # three pixels make two
            middle = sums[i, 3 * pair + 1]
            wide[i, 2 * pair] = two * sums[i, 3 * pair] + middle
            wide[i, 2 * pair + 1] = two * sums[i, 3 * pair + 2] + middle
    out = np.empty((SIZE, SIZE, 3), np.uint8)
    n_in, n_out = KEPT_ROWS // 4, SIZE // 4  # 21 rows make 16: in sixteenths of a row all weights are whole
    whole = np.uint64(3 * n_in * samples)
    inverse = 1.0 / np.float64(whole)
    line, channels = np.empty(SIZE, np.uint64), np.empty((3, SIZE), np.uint8)
    for i in range(SIZE):
        line[:] = 0
        for row in range(i * n_in // n_out, min((i * n_in + n_in - 1) // n_out + 1, KEPT_ROWS)):
            weight = np.uint64(min((i + 1) * n_in, (row + 1) * n_out) - max(i * n_in, row * n_out))
            for j in range(SIZE):
                line[j] += wide[row, j] * weight
        for k in range(3):
            for j in range(SIZE):
                value = (line[j] >> np.uint64(FIELD_BITS * k)) & np.uint64((1 << FIELD_BITS) - 1)
                # halves upwards: half a unit off, the product is never near enough to a whole number to round wrongly
                channels[k, j] = np.uint8(np.int32((np.float64(np.int64(value + whole // two)) + 0.5) * inverse))
        for j in range(SIZE):
            for k in range(3):
                out[i, j, k] = channels[k, j]
    return out
