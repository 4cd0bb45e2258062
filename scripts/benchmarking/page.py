"""The page of the benchmark: JSON in, Markdown out, so that no figure of it is typed."""

import re
import statistics
from collections.abc import Iterator
from typing import Any

from benchmarking.figures import MISSED, OPEN, spread_text, text
from reporting.stage_times import times_table

HEAD = """# Performance

Written by `python scripts/benchmark.py --from results/benchmark.json --page docs/performance.md`, not by hand.

{machine}, measured on {date} by `{command}` in {minutes:.0f} minutes ({versions}; commit {commit}). A figure is the
median of {repeats} repetitions, with the lowest and the highest in brackets. Ours and its baselines are measured
alternately, each in a process of its own that is stopped while another one is measured; a ratio is the median of the
ratios of the repetitions.
"""
CEILING = """## Compute ceilings

A step cannot be faster than its matrix products in sequence, each at the best rate that either library sustains for a
tenth of a second in any form: as TensorFlow's or PyTorch's convolution, or as a plain product of patches that were
gathered at no cost. Work between the products (gates, sampling, losses, the optimizer, noise generation) is free in
this ceiling. In GFLOP/s:
"""
SHARES = """## Where the time of a whole run goes

What `scripts/reproduce.py` noted of its stages, loading and compiling included; the largest share is where the next
speed-up would count most.
"""
SCALING = """## Scaling

Time scales as the size to this exponent, fitted over four sizes; more than {bound} would be another complexity class.
Over hidden units it is the time against the operations that so many units need.
"""
WHY = {  # of a missed target: what other measurements say about it; {measure/series} is a median, {a:b} a ratio
    "dream: ours / ceiling": "the loop alone, its noise ready and no row ending, reaches {dream/loop} steps/s, "
    "{dream/loop:dream/ceiling} of the ceiling, the rest being gates, sampling and C; what remains goes to tiles that "
    "are not full as dreams end, noise generation, calls of the compiled block, and the wait for the last rank",
    "dream: ours / one rank": "each rank has a last tile that runs empty, and waits for the other's last dream",
    "dream_environment: alone": "a step is one call of a compiled program; the rest is Python, Gymnasium's and ours, "
    "and an array handed over each way",
    "generation: ours, outside": "CMA-ES of 1,088 weights asks and tells, and files are written, while no rank plays",
    "carracing_agent: ours / parts": "the environment alone reaches {carracing_agent/parts, environment rate} steps/s, "
    "the networks {carracing_agent/parts, networks rate}; alternating, each is slower than alone "
    "(docs/carracing_renderer.md)",
    "carracing_agent: bfloat16 / parts bfloat16": "as above, and what does not shrink with the networks weighs more",
    "doom_agent: ours / parts": "16 environments in turn reach {doom_agent/parts, environment rate} steps/s, the "
    "networks {doom_agent/parts, networks rate}; alternating, each finds the caches full of the other's data",
    "doom_agent: large / parts large": "16 environments in turn: {doom_agent/parts large, environment rate} steps/s",
    "vae_training: ours / PyTorch": "ours is {vae_training/ours:vae_training/ceiling} of the ceiling, PyTorch "
    "{vae_training/PyTorch:vae_training/ceiling}",
    "rnn_training: ours / PyTorch": "ours is {rnn_training/ours:rnn_training/ceiling} of the ceiling, PyTorch "
    "{rnn_training/PyTorch:rnn_training/ceiling}",
    "doom_collecting: ours": "the engine alone, on one core, reaches {doom_collecting/engine}",
    "vae_encoding: ours": "the ceiling of this machine is {vae_encoding/ceiling} frames/s",
}


def page(results: dict[str, Any]) -> str:
    """Return the whole page of a benchmark's results."""
    parts = [head(results), "## Targets\n", *target_table(results), *short(results), "## Rates\n"]
    parts += rate_tables(results)
    parts += share_tables(results)
    parts += [SCALING.format(bound=bounds(results)), *scaling_table(results), *ceiling_tables(results)]
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
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, ("---",) * len(heads), *rows])


def target_table(results: dict[str, Any]) -> list[str]:
    """Targets, what was measured, and the verdicts."""
    rows = [
        (t["name"], found(t), t["unit"], f"{t['sense']} {text(t['bound'])}", bold(t["verdict"]))
        for t in results["targets"]
    ]
    return [table(("figure", "measured", "", "target", "verdict"), rows)]


def found(row: dict[str, Any]) -> str:
    """Return what was measured, or a dash."""
    return "–" if row["value"] is None else spread_text(row["value"], row["low"], row["high"])


def bold(verdict: str) -> str:
    """Return a verdict as the page says it, in bold where a target is missed or not measured."""
    return f"**{verdict}**" if verdict in (MISSED, OPEN) else verdict


def short(results: dict[str, Any]) -> list[str]:
    """Missed targets, and what could not be measured, in words."""
    lines = [sentence(row, results) for row in results["targets"] if row["verdict"] == MISSED]
    for name, measure in results["measures"].items():
        for scaling in measure["scaling"].values():
            if scaling["verdict"] == MISSED:
                grows = spread_text(scaling["exponent"], scaling["low"], scaling["high"])
                lines.append(f"- **{name}** scales over {scaling['along']} with exponent {grows}.")
        lines += [f"- Not measured: {name}, {who} ({why})." for who, why in measure["missing"].items()]
    return ["## Missed targets\n", "\n".join(lines)] if lines else ["No target is missed.\n"]


def sentence(row: dict[str, Any], results: dict[str, Any]) -> str:
    """Return a missed target, with what the other measurements say of it."""
    reason = explained(WHY.get(row["name"], ""), results)
    line = f"- **{row['name']}** is {found(row)} {row['unit']}; the target is {row['sense']} {text(row['bound'])}"
    return f"{line}{'; ' if reason else ''}{reason}."


def explained(words: str, results: dict[str, Any]) -> str:
    """Return a sentence with medians of series, {measure/series}, or ratios, {a:b}; empty where one is missing."""

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
    """Yield a table of every measure: who, how fast, and how ours compares."""
    for name, measure in results["measures"].items():
        rows = []
        for who, one in measure["implementations"].items():
            if one["rate"]:
                over = spread_text(**one["ours_over"]) if one["ours_over"] else ""
                rows.append((who, one["what"], spread_text(**one["rate"]), over))
        rows += [(who, why, "–", "") for who, why in measure["missing"].items()]
        yield f"### {name}: {measure['what']}\n"
        yield table(("", "", measure["unit"], "ours / this"), rows)


def share_tables(results: dict[str, Any]) -> Iterator[str]:
    """Where the wall time of whole runs went, stage by stage."""
    if results.get("shares"):
        yield SHARES
    for name, times in results.get("shares", {}).items():
        yield f"### {name}\n"
        yield times_table(times)


def bounds(results: dict[str, Any]) -> float:
    """Return the largest exponent that is allowed."""
    found = [g["bound"] for m in results["measures"].values() for g in m["scaling"].values()]
    return max(found, default=1.05)


def scaling_table(results: dict[str, Any]) -> list[str]:
    """Return the exponents of all scalings."""
    rows = []
    for name, measure in results["measures"].items():
        for scaling in measure["scaling"].values():
            grows = spread_text(scaling["exponent"], scaling["low"], scaling["high"])
            sizes = ", ".join(f"{size:,.0f}" for size in scaling["sizes"])
            rows.append((name, scaling["along"], sizes, grows, bold(scaling["verdict"])))
    return [table(("measure", "over", "sizes", "exponent", "verdict"), rows)]


def ceiling_tables(results: dict[str, Any]) -> Iterator[str]:
    """For every step with a ceiling, its kernels."""
    steps = {name: measure["products"] for name, measure in results["measures"].items() if measure["products"]}
    if steps:
        yield CEILING
    for name, kernels in steps.items():
        libraries = [key for key in next(iter(kernels.values())) if key != "operations"]
        rows = [
            (kernel, f"{row['operations'] / 1e6:.3g}", *(f"{row[library] / 1e9:.0f}" for library in libraries))
            for kernel, row in kernels.items()
        ]
        shown = ["PyTorch" if library.endswith("PyTorch") else "TensorFlow" for library in libraries]
        yield table((name, "million operations", *shown), rows)
