"""The page of the benchmark: JSON in, Markdown out, so that no figure of it is typed."""

import re
import statistics
from collections.abc import Iterator
from typing import Any

from benchmarking.figures import OPEN, SHORT, spread_text, text

HEAD = """# How fast, and against what

Written by `python scripts/benchmark.py --from results/benchmark.json --page docs/performance.md`, not by hand.

{machine}, measured on {date} by `{command}` in {minutes:.0f} minutes ({versions}; commit {commit}). A figure is the
median of {repeats} repetitions, with the lowest and the highest in brackets. Ours and what it is compared with are
measured in turn, each in a process of its own that is stopped while another one is measured; a ratio is the median of
the ratios of the repetitions.
"""
CEILING = """## Ceilings

A step cannot be faster than its matrix products one after the other, each at the best rate that either library sustains
for a tenth of a second in any form: as TensorFlow or PyTorch convolve, or as a plain product of patches that somebody
has gathered for nothing. Work between the products (gates, sampling, losses, the optimizer, the drawing of noise) is
free in this ceiling. In GFLOP/s:
"""
GROWTH = """## Growth

Time grows as the size to this exponent, fitted through four sizes; more than {bound} would be another class. Over
hidden units it is the time against the operations that so many units need.
"""
WHY = {  # of a target that falls short: what other measurements say of it; {measure/series} is a median, {a:b} a ratio
    "dream: ours / ceiling": "the loop alone, its noise ready and no row ending, makes {dream/loop} steps/s, "
    "{dream/loop:dream/ceiling} of the ceiling: so much do gates, sampling and C leave; the rest of the way goes to "
    "tiles that are not full as dreams end, drawing noise, calling the compiled block, and the wait for the last rank",
    "dream: ours / one rank": "each rank has a last tile that thins out, and one waits for the last dream of the other",
    "carracing_agent: ours / parts": "the environment alone makes {carracing_agent/parts, environment rate} steps/s, "
    "the networks {carracing_agent/parts, networks rate}; in turn each is slower than alone (docs/carracing.md)",
    "carracing_agent: bfloat16 / parts bfloat16": "as above, and what does not shrink with the networks weighs more",
    "vae_training: ours / PyTorch": "ours is {vae_training/ours:vae_training/ceiling} of the ceiling, PyTorch "
    "{vae_training/PyTorch:vae_training/ceiling}",
    "rnn_training: ours / PyTorch": "ours is {rnn_training/ours:rnn_training/ceiling} of the ceiling, PyTorch "
    "{rnn_training/PyTorch:rnn_training/ceiling}",
    "doom_collecting: ours": "the engine alone, on one core, makes {doom_collecting/engine}",
    "vae_encoding: ours": "the ceiling of this machine is {vae_encoding/ceiling} frames/s",
}


def page(results: dict[str, Any]) -> str:
    """The whole page of a benchmark's results."""
    parts = [head(results), "## What it must reach\n", *target_table(results), *short(results), "## Rates\n"]
    parts += rate_tables(results)
    parts += [GROWTH.format(bound=bounds(results)), *growth_table(results), *ceiling_tables(results)]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts if part)


def head(results: dict[str, Any]) -> str:
    """Machine, date and command."""
    names = {"python": "Python", "tensorflow": "TensorFlow", "numpy": "NumPy", "vizdoom": "ViZDoom"}
    versions = [f"{shown} {results['versions'][name]}" for name, shown in names.items()]
    versions += [f"{name} {version}" for name, version in results["peers"].items()]
    machine = f"{results['cpu']}, {results['cores']} cores"
    known = {key: results[key] for key in ("date", "command", "commit", "minutes", "repeats")}
    return HEAD.format(machine=machine, versions=", ".join(versions), **known)


def table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ("---",) * len(heads), *rows])


def target_table(results: dict[str, Any]) -> list[str]:
    """Targets, what was measured, and the verdicts."""
    rows = [
        (t["name"], found(t), t["unit"], f"{t['sense']} {text(t['bound'])}", bold(t["verdict"]))
        for t in results["targets"]
    ]
    return [table(("figure", "measured", "", "to reach", "verdict"), rows)]


def found(row: dict[str, Any]) -> str:
    """What was measured, or a dash."""
    return "–" if row["value"] is None else spread_text(row["value"], row["low"], row["high"])


def bold(verdict: str) -> str:
    """A verdict, in bold where something is wanting."""
    return f"**{verdict}**" if verdict in (SHORT, OPEN) else verdict


def short(results: dict[str, Any]) -> list[str]:
    """In words, what falls short and what could not be measured."""
    lines = [sentence(row, results) for row in results["targets"] if row["verdict"] == SHORT]
    for name, measure in results["measures"].items():
        for growth in measure["growth"].values():
            if growth["verdict"] == SHORT:
                grows = spread_text(growth["exponent"], growth["low"], growth["high"])
                lines.append(f"- **{name}** grows over {growth['along']} with exponent {grows}.")
        lines += [f"- Not measured: {name}, {who} ({why})." for who, why in measure["missing"].items()]
    return ["## What falls short\n", "\n".join(lines)] if lines else ["Nothing falls short.\n"]


def sentence(row: dict[str, Any], results: dict[str, Any]) -> str:
    """A target that is not reached, with what the other measurements say of it."""
    reason = explained(WHY.get(row["name"], ""), results)
    line = f"- **{row['name']}** is {found(row)} {row['unit']}, to be {row['sense']} {text(row['bound'])}"
    return f"{line}{'; ' if reason else ''}{reason}."


def explained(words: str, results: dict[str, Any]) -> str:
    """A sentence with medians of series, {measure/series}, or of ratios of two, {a:b}; empty where one is missing."""

    def median(name: str) -> float:
        measure, _, series = name.partition("/")
        return statistics.median(results["measures"][measure]["series"][series])

    def value(match: re.Match) -> str:
        ours, _, over = match[1].partition(":")
        return f"{median(ours) / median(over):.2f}" if over else text(median(ours))

    try:
        return re.sub(r"\{([^}]*)\}", value, words)
    except (KeyError, TypeError):
        return ""


def rate_tables(results: dict[str, Any]) -> Iterator[str]:
    """A table of every measure: who, how fast, and how ours compares."""
    for name, measure in results["measures"].items():
        rows = []
        for who, one in measure["contestants"].items():
            if one["rate"]:
                over = spread_text(**one["ours_over"]) if one["ours_over"] else ""
                rows.append((who, one["what"], spread_text(**one["rate"]), over))
        rows += [(who, why, "–", "") for who, why in measure["missing"].items()]
        yield f"### {name}: {measure['what']}\n"
        yield table(("", "", measure["unit"], "ours / this"), rows)


def bounds(results: dict[str, Any]) -> float:
    """The largest exponent that is allowed."""
    found = [g["bound"] for m in results["measures"].values() for g in m["growth"].values()]
    return max(found, default=1.05)


def growth_table(results: dict[str, Any]) -> list[str]:
    """The exponents of all growths."""
    rows = []
    for name, measure in results["measures"].items():
        for growth in measure["growth"].values():
            grows = spread_text(growth["exponent"], growth["low"], growth["high"])
            sizes = ", ".join(f"{size:,.0f}" for size in growth["sizes"])
            rows.append((name, growth["along"], sizes, grows, bold(growth["verdict"])))
    return [table(("measure", "over", "sizes", "exponent", "verdict"), rows)]


def ceiling_tables(results: dict[str, Any]) -> Iterator[str]:
    """For every step with a ceiling, its pieces."""
    steps = {name: measure["pieces"] for name, measure in results["measures"].items() if measure["pieces"]}
    if steps:
        yield CEILING
    for name, pieces in steps.items():
        libraries = [key for key in next(iter(pieces.values())) if key != "operations"]
        rows = [
            (piece, f"{row['operations'] / 1e6:.3g}", *(f"{row[library] / 1e9:.0f}" for library in libraries))
            for piece, row in pieces.items()
        ]
        shown = ["PyTorch" if library.endswith("PyTorch") else "TensorFlow" for library in libraries]
        yield table((name, "million operations", *shown), rows)
