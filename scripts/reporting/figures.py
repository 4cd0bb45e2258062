"""The figures of `report.py`: data in, a Matplotlib figure out; one style, legible without colour vision."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
matplotlib.rcdefaults()  # whatever the user's matplotlibrc says: LaTeX for every word, say, where there is none

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from controller.survival import Curve
from controller.task import temperature_text
from experiment.files import atomic_write

# Okabe and Ito's, safe for the colour-blind
OURS, THEIRS, THIRD, FOURTH, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
COLORS = (OURS, THIRD, GREY, FOURTH)  # of our own curves
plt.rcParams.update(
    {
        "font.size": 10,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.color": "#DDDDDD",
        "figure.dpi": 110,
        "legend.frameon": False,
        "svg.hashsalt": "world-models",
    }
)


def save(figure: Figure, path: Path) -> bytes:
    """Write a figure as PNG and as SVG; returns the PNG. path: without an ending, which may have dots in it."""
    write(figure, path.with_name(f"{path.name}.svg"))
    return write(figure, path.with_name(f"{path.name}.png"))


def write(figure: Figure, path: Path) -> bytes:
    """Write a figure whole or not at all, in the format that the file's ending names; returns what is in it."""
    buffer, kind = io.BytesIO(), path.suffix.lstrip(".").lower() or "png"
    figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    atomic_write(path, buffer.getvalue())
    return buffer.getvalue()


def strips(rows: list[tuple[str, np.ndarray]], columns: list[str] | None = None) -> Figure:
    """Draw strips of frames uint8 [n, 64, 64, 3] one below the other, with their labels; shorter ones end in white."""
    longest = max(len(frames) for _, frames in rows)
    figure, axes = plt.subplots(len(rows), 1, figsize=(1 + 0.9 * longest, 0.95 * len(rows) + 0.3), squeeze=False)
    for axis, (label, frames) in zip(axes[:, 0], rows, strict=True):
        strip = np.full((64, 66 * longest - 2, 3), 255, np.uint8)
        for place, frame in enumerate(frames):
            strip[:, 66 * place : 66 * place + 64] = frame
        axis.imshow(strip, aspect="auto", interpolation="nearest")
        axis.set_ylabel(label, rotation=0, ha="right", va="center")
        axis.set_xticks([])
        axis.set_yticks([])
        axis.grid(False)
        for spine in axis.spines.values():
            spine.set_visible(False)
    if columns:
        axes[-1, 0].set_xticks([66 * i + 32 for i in range(longest)], columns[:longest])
        axes[-1, 0].tick_params(length=0)
    figure.tight_layout(h_pad=0.2)
    return figure


def color(number: int) -> str:
    """Return the colour of our own curve of this number; they come round again."""
    return COLORS[number % len(COLORS)]


def lines(curves: list[tuple[str, str, list[float], list[float]]], x: str, y: str, log: bool = False) -> Figure:
    """Draw curves (label, colour, xs, ys)."""
    figure, axis = plt.subplots(figsize=(7, 3.4))
    for number, (label, color, xs, ys) in enumerate(curves):
        axis.plot(xs, ys, ("-", "--", ":", "-.")[number % 4], color=color, label=label, lw=1.8)
    axis.set_xlabel(x)
    axis.set_ylabel(y)
    if log:
        axis.set_xscale("log")
    axis.legend()
    figure.tight_layout()
    return figure


def probes(
    points: list[tuple[str, float, float]], agents: list[tuple[str, float, float]], tau: float, score: str
) -> Figure:
    """Draw scores of scripted policies (name, dream, real) in both worlds, with the diagonal of a truthful dream."""
    figure, axis = plt.subplots(figsize=(5.4, 5))
    values = [value for _, dream, real in [*points, *agents] for value in (dream, real)]
    survival = min(values) > 0  # shown by ratios; returns of any sign by differences
    room = 0.08 * (max(values) - min(values)) + 1e-3
    low, high = (0.8 * min(values), 1.25 * max(values)) if survival else (min(values) - room, max(values) + room)
    axis.plot([low, high], [low, high], "--", color=GREY, lw=1, label="a truthful dream")
    for marker, color, label, group in (("o", OURS, "scripted policies", points), ("*", THEIRS, "agents", agents)):
        if group:
            axis.plot([r for _, _, r in group], [d for _, d, _ in group], marker, color=color, ms=8, label=label)
        for name, dream, real in group:
            axis.annotate(name, (real, dream), xytext=(6, 4), textcoords="offset points", fontsize=8)
    ticks = [tick for tick in (50, 100, 200, 400, 700, 1000, 2000) if low <= tick <= high]
    for which in (axis.xaxis, axis.yaxis):
        if not survival:
            axis.set(**{f"{which.axis_name}lim": (low, high)})
            continue
        axis.set(**{f"{which.axis_name}scale": "log", f"{which.axis_name}lim": (low, high)})
        which.set_ticks(ticks, [str(tick) for tick in ticks])
        which.set_ticks([], minor=True)
    axis.set(xlabel=f"{score} in the real task", ylabel=f"in the dream, tau {temperature_text(tau)}")
    axis.legend(loc="upper left")
    figure.tight_layout()
    return figure


def histogram(scores: list[float], label: str, published: tuple[str, float, float] | None, unit: str) -> Figure:
    """Draw scores of an evaluation, their mean, and the published mean and standard deviation."""
    figure, axis = plt.subplots(figsize=(7, 3))
    axis.hist(scores, bins=25, color=OURS, alpha=0.75)
    axis.axvline(
        float(np.mean(scores)), color=OURS, lw=2, label=f"{label}: {np.mean(scores):.0f} ± {np.std(scores):.0f}"
    )
    if published:
        name, mean, std = published
        axis.axvline(mean, color=THEIRS, lw=2, ls="--", label=f"{name}: {mean:.0f} ± {std:.0f}")
        axis.axvspan(mean - std, mean + std, color=THEIRS, alpha=0.12)
    axis.set(xlabel=unit, ylabel="episodes")
    axis.legend()
    figure.tight_layout()
    return figure


def survival(panels: list[tuple[str, list[tuple[str, Curve]]]], limit: int) -> Figure:
    """Draw survival curves with 95 % bands: a panel for each policy (name, [(world, curve)]), the worlds over it."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    size = (3.3 * columns + 0.6, 2.4 * rows + 0.5)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharex=True, sharey=True)
    for axis, (name, curves) in zip(axes.flat, panels, strict=False):
        for color, style, (world, curve) in zip((OURS, THEIRS), ("-", "--"), curves, strict=False):
            steps = np.append(curve.steps, limit if curve.share[-1] > 0 else curve.steps[-1])
            share, low, high = (np.append(part, part[-1]) for part in curve[1:])
            axis.step(steps, share, style, where="post", color=color, label=world, lw=1.8)
            axis.fill_between(steps, low, high, step="post", color=color, alpha=0.15, lw=0)
        axis.set_title(name, fontsize=9)
        axis.set(xlim=(0, limit), ylim=(0, 1.02))
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_visible(False)
    for axis in axes[:, 0]:
        axis.set_ylabel("share surviving")
    for column in range(columns):
        lowest = axes[max(row for row in range(rows) if row * columns + column < len(panels)), column]
        lowest.set_xlabel("steps")
        lowest.tick_params(labelbottom=True)
    axes[0, 0].legend(loc="upper right", fontsize=8)
    figure.tight_layout()
    return figure


def foresight(done: np.ndarray | None, density: np.ndarray, grid: np.ndarray, values: np.ndarray) -> Figure:
    """Draw M along a real episode: the mixture of one latent dimension with what came, and the probability of done."""
    rows = 1 if done is None else 2
    figure, axes = plt.subplots(rows, 1, figsize=(8, 1 + 2 * rows), squeeze=False, sharex=True)
    steps = np.arange(1, len(values) + 1)
    axes[0, 0].pcolormesh(steps, grid, np.sqrt(density.T), cmap="Blues", shading="nearest", rasterized=True)
    axes[0, 0].plot(steps, values, ".", color=THEIRS, ms=2, label="what came")
    axes[0, 0].set_ylabel("one dimension of z")
    axes[0, 0].legend(loc="upper right")
    axes[0, 0].grid(False)
    if done is not None:
        axes[1, 0].plot(np.arange(1, len(done) + 1), done, color=OURS, lw=1)
        axes[1, 0].axhline(0.5, color=GREY, ls="--", lw=1)
        axes[1, 0].set(ylabel="M's done output", ylim=(-0.03, 1.03))
    axes[-1, 0].set_xlabel("step of the real game")
    figure.tight_layout()
    return figure
