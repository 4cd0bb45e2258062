"""How far our rendering of CarRacing is from Gymnasium's, over many frames of many tracks.

    python scripts/compare_renderers.py [--json results/carracing_renderer.json] [--figure docs/carracing_renderer.png]

Four scripted drivers take the tracks in rotation: wandering, spinning, straight on (over the grass to the field's
edge), and following the road.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cli
import numpy as np

from experiment.errors import InputError
from experiment.files import check_file_writable, write_json
from experiment.provenance import environment

if TYPE_CHECKING:
    from carracing.env import Circuit


FIGURES = (".png", ".svg", ".pdf")
DRIVERS = ("wandering", "spinning", "straight on", "along the road")


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=cli.positive, default=20, help="tracks (default 20)")
    parser.add_argument("--frames", type=cli.positive, default=520, help="frames of each track (default 520)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="write both renderings there, one above the other")
    return parser.parse_args()


def main() -> None:
    """Parse, play, compare."""
    arguments = parse()
    with cli.ending_well():
        for file in (arguments.json, arguments.figure):
            check_file_writable(file, "name another file")
        if arguments.figure and arguments.figure.suffix not in FIGURES:
            raise InputError(f"--figure {arguments.figure}: must end in one of {', '.join(FIGURES)}")
        figures, shown = compare_all(arguments.tracks, arguments.frames)
        if arguments.json:
            write_json(arguments.json, {"command": "python scripts/compare_renderers.py", **figures, **environment()})
        if arguments.figure and shown:
            plot(shown, arguments.figure)


def compare_all(tracks: int, frames: int) -> tuple[dict[str, Any], list[tuple[np.ndarray, np.ndarray]]]:
    """Print the differences of each track and of all; returns them, and (Gymnasium's, ours) pairs of every driver."""
    rows, shown = [], []
    for seed in range(tracks):
        driver = DRIVERS[seed % len(DRIVERS)]
        differences, pairs = compare(seed, driver, frames)
        mean, worst = sum(differences) / len(differences), max(differences)
        rows.append({"track": seed, "driver": driver, "mean": mean, "worst_frame": worst})
        print(f"track {seed:2}, {driver:14}: mean {mean:.3f}, worst frame {worst:.3f} grey levels", flush=True)
        shown += pairs if seed < len(DRIVERS) else []
    count = tracks * frames
    mean, worst = sum(row["mean"] for row in rows) / len(rows), max(row["worst_frame"] for row in rows)
    print(f"{count:,} frames of {tracks} tracks: mean {mean:.3f}, worst frame {worst:.3f} grey levels")
    return {"frames": count, "tracks": tracks, "mean": mean, "worst_frame": worst, "rows": rows}, shown


def compare(seed: int, driver: str, frames: int) -> tuple[list[float], list[tuple[np.ndarray, np.ndarray]]]:
    """Return (mean absolute difference of every frame, a few (Gymnasium's, ours) pairs) of one track."""
    from carracing.env import Circuit
    from carracing.render import Renderer, Road

    circuit, renderer = Circuit(None), Renderer("v3")
    circuit.reset(seed=seed)
    road, differences, pairs = Road(circuit), [], []
    walk = np.clip(np.cumsum(np.random.default_rng(seed).normal(0, 0.2, frames)), -1, 1)
    for step in range(frames):
        circuit.step(np.float32(act(circuit, driver, step, float(walk[step]))))
        ours = renderer.cropped(circuit, road)
        differences.append(float(np.abs(ours.astype(int) - circuit.observation).mean()))
        if step in (5, 30, 100, 160, 240, 400):
            pairs.append((circuit.observation.copy(), ours))
    circuit.close()
    return differences, pairs


def act(circuit: Circuit, driver: str, step: int, walk: float) -> tuple[float, float, float]:
    """Return steer, gas and brake of a driver at a step."""
    if driver == "wandering":
        return walk, 0.3 + 0.3 * walk, 0.0
    if driver == "spinning":
        return math.copysign(1, math.sin(step / 60)), 0.7, 0.3 * (step % 100 > 80)
    if driver == "straight on":
        return 0.0, 1.0, 0.0
    hull = circuit.car.hull
    x, y = hull.position
    nearest = min(range(len(circuit.track)), key=lambda n: math.hypot(circuit.track[n][2] - x, circuit.track[n][3] - y))
    _, _, tx, ty = circuit.track[(nearest + 4) % len(circuit.track)]
    wanted = math.atan2(-(tx - x), ty - y)
    turn = (wanted - hull.angle + math.pi) % (2 * math.pi) - math.pi
    speed = math.hypot(*hull.linearVelocity)
    return max(-1.0, min(1.0, -1.5 * turn)), 0.4 * (speed < 40), 0.2 * (speed > 55)


def plot(pairs: list[tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """Draw Gymnasium's frames above, ours below."""
    from reporting import figures

    theirs, ours = (np.stack(column) for column in zip(*pairs[:: max(1, len(pairs) // 12)], strict=True))
    figures.write(figures.strips([("Gymnasium", theirs[:12]), ("ours", ours[:12])]), path)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
