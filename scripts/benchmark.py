"""How fast every stage is on this machine: against its ceiling, and against what people would use instead.

    python scripts/benchmark.py [--only MEASURE]... [--repeats N] [--json FILE]
    python scripts/benchmark.py --from results/benchmark.json --page docs/performance.md
    python scripts/benchmark.py --shares runs/demo runs/doom --json results/benchmark.json

Ours and the others are measured alternately, each in a process of its own that is stopped meanwhile; a
figure is the median of the ratios of the repetitions. It takes 45 minutes on 2 cores (half an hour with --repeats 3),
which should do nothing else. The others are an extra (pip install -e .[bench]); what is not installed is said to be
missing. --shares measures nothing: it tells, from what reproduce.py noted in its runs, where their time went.
"""

import argparse
import datetime
import sys
import tempfile
import time
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cli
from benchmarking.figures import (
    AT_LEAST,
    AT_MOST,
    MISSED,
    OPEN,
    REACHED,
    Spread,
    Target,
    ceiling,
    judged,
    paired,
    scaling_row,
    spread_text,
)
from benchmarking.measures import BENCHMARKS, BenchmarkRun
from benchmarking.page import page
from benchmarking.workers import serve
from reporting.stage_times import FILE, stage_times, times_table

from experiment.errors import InputError
from experiment.files import atomic_write, check_file_writable, read_json, write_json
from experiment.provenance import environment

TARGETS = (
    Target("dream", "ours", "ceiling", "of the ceiling", AT_LEAST, 0.80),
    Target("dream", "ours", "one at a time", "times one dream at a time", AT_LEAST, 20),
    Target("dream", "ours", "PyTorch", "times PyTorch", AT_LEAST, 1.5),
    Target("dream", "ours", "one rank", "times one rank", AT_LEAST, 1.85),
    Target("dream_environment", "ours", "", "steps/s on all cores", AT_LEAST, 20_000),
    Target("dream_environment", "alone", "", "steps/s on one core", AT_LEAST, 2500),
    Target("generation", "ours, outside", "", "of the ranks' time outside rollouts", AT_MOST, 0.03),
    Target("carracing_environment", "ours", "Gymnasium", "times Gymnasium, on one core", AT_LEAST, 30),
    Target("carracing_environment", "ours", "EnvPool", "times EnvPool, on one core", AT_LEAST, 4),
    Target("carracing_agent", "ours", "parts", "of what its parts allow", AT_LEAST, 0.90),
    Target("carracing_agent", "bfloat16", "parts bfloat16", "of what its parts allow", AT_LEAST, 0.90),
    Target("doom_agent", "ours", "parts", "of what its parts allow", AT_LEAST, 0.85),
    Target("doom_agent", "large", "parts large", "of what its parts allow", AT_LEAST, 0.85),
    Target("vae_training", "ours", "PyTorch", "times PyTorch", AT_LEAST, 1.2),
    Target("vae_encoding", "ours", "", "frames/s", AT_LEAST, 5500),
    Target("vae_encoding", "bfloat16", "", "frames/s", AT_LEAST, 9500),
    Target("rnn_training", "ours", "PyTorch", "times PyTorch", AT_LEAST, 1.2),
    Target("doom_collecting", "ours", "", "frames/s of one core", AT_LEAST, 2000),
    Target("doom_collecting", "ours, bytes", "", "bytes a frame on disk", AT_MOST, 5000),
    Target("doom_collecting", "ours, differing", "", "frames of a game not as they were shown", AT_MOST, 0),
)
# what a file of measures holds beside them
OF_MEASURES = ("targets", "command", "minutes", "date", "repeats", "peers", "versions", "cpu", "cores", "commit")
LARGEST_EXPONENT = 1.05  # of a measure's time over its size: a higher one is another complexity class
CEILING = "all products of a step, each at the best rate that was measured of it"
SCALING_ROUNDS, SCALING_SECONDS = 3, 0.5


def main() -> None:
    """Measure, or make the page of what was measured."""
    if sys.argv[1:2] == ["--inside"]:
        return serve(*sys.argv[2:])
    arguments = parse()
    with cli.ending_well():
        for file in (arguments.json, arguments.page):
            check_file_writable(file, "name another file")
        if arguments.source:
            results = figures_there(arguments.source)
            if arguments.page and not results.get("measures"):
                raise InputError(f"{arguments.source}: holds no measures, which the page shows; measure first")
        elif arguments.shares:
            results = add_shares(arguments)
        else:
            results = run(arguments)
        if arguments.page:
            atomic_write(arguments.page, page(results).encode())
            print(f"wrote {arguments.page}")
    return None


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = cli.Parser(description=__doc__, formatter_class=cli.Formatter)
    parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="MEASURE", help=", ".join(BENCHMARKS))
    parser.add_argument(
        "--repeats", type=cli.positive, default=5, metavar="N", help="of every implementation (default 5)"
    )
    parser.add_argument(
        "--seconds", type=cli.seconds, default=2.5, help="a repetition lasts, where it can be cut (2.5)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, after every measure")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that all works; figures mean nothing")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page of the figures there")
    parser.add_argument("--shares", nargs="+", type=Path, metavar="RUN", help="runs of reproduce.py; measure nothing")
    parser.add_argument("--from", dest="source", type=Path, metavar="FILE", help="measure nothing, read the figures")
    return parser.parse_args()


def add_shares(arguments: argparse.Namespace) -> dict[str, Any]:
    """Print where the time of whole runs went; with --json, keep it beside the measures that are there."""
    known = arguments.json and arguments.json.exists()
    results = read_json(arguments.json) if known else {"measures": {}, "targets": []}
    found = {}
    for run in map(cli.open_existing, arguments.shares):
        times = stage_times(run.path)
        if not times:
            raise InputError(f"{run.path / FILE}: no times of stages there; make the run with scripts/reproduce.py")
        print(f"\n{run.task}, preset {run.preset}\n\n{times_table(times)}")
        found[f"{run.task}, preset {run.preset}"] = [vars(time) for time in times]
    results["shares"] = results.get("shares", {}) | found
    if arguments.json:
        write_json(arguments.json, results)
    return results


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure, print, and write what is known so far after each measure."""
    started, repeats, results = time.monotonic(), arguments.repeats, earlier_results(arguments)
    results["command"] = " && ".join([*results.pop("commands"), command(arguments)])
    results |= {"date": str(datetime.date.today()), "repeats": repeats, **environment(), "peers": peers()}
    minutes = results["minutes"]
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        for name in dict.fromkeys(arguments.only or BENCHMARKS):
            begun = time.monotonic()
            with BenchmarkRun(BENCHMARKS[name], Path(folder), arguments.seconds, arguments.smoke) as measured:
                measured.compete(repeats)
            measured.scale(min(SCALING_ROUNDS, repeats), min(SCALING_SECONDS, arguments.seconds))
            results["measures"][name] = row(name, measured) | {"minutes": (time.monotonic() - begun) / 60}
            results["targets"] += [judged(t, measured.series) for t in TARGETS if t.measure == name]
            order(results)
            results["minutes"] = minutes + (time.monotonic() - started) / 60
            show(name, results)
            if arguments.json:
                write_json(arguments.json, results)
    verdicts(results)
    return results


def earlier_results(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what an earlier run left in the file of the measures that are not asked for now; nothing where all are."""
    found: dict[str, Any] = {"measures": {}, "targets": [], "commands": [], "minutes": 0.0}
    earlier = figures_there(arguments.json) if arguments.json and arguments.json.exists() else {}
    if "shares" in earlier:
        found["shares"] = earlier["shares"]  # of runs, which no measure changes
    if arguments.only and earlier.get("measures"):
        found["measures"] = {k: v for k, v in earlier["measures"].items() if k not in arguments.only}
        found["targets"] = [t for t in earlier["targets"] if t["name"].split(":")[0] not in arguments.only]
        found |= {"commands": [earlier["command"]], "minutes": earlier["minutes"]}
    return found


def figures_there(path: Path) -> dict[str, Any]:
    """Return the figures of a file; InputError where it holds none of this script's."""
    found = read_json(path, "make it with scripts/benchmark.py --json")
    if not isinstance(found, dict) or not {"measures", "shares"} & set(found):
        raise InputError(f"{path}: holds no figures of scripts/benchmark.py; name another file")
    missing = [key for key in OF_MEASURES if key not in found] if found.get("measures") else []
    if missing:
        raise InputError(f"{path}: holds measures without {', '.join(missing)}; measure again")
    return found


def order(results: dict[str, Any]) -> None:
    """Put measures and targets in the order of a whole run, whatever was measured last."""
    results["measures"] = {name: results["measures"][name] for name in BENCHMARKS if name in results["measures"]}
    known = {target.name: place for place, target in enumerate(TARGETS)}
    results["targets"].sort(key=lambda row: known.get(row["name"], len(known)))


def command(arguments: argparse.Namespace) -> str:
    """Return the line to type for the same again."""
    words = [word for name in arguments.only or [] for word in ("--only", name)] + ["--smoke"] * arguments.smoke
    return " ".join(["python scripts/benchmark.py", *words, "--repeats", str(arguments.repeats)])


def peers() -> dict[str, str]:
    """Return the versions of what ours is held against."""
    names = ("torch", "envpool", "gymnasium")
    return {name: metadata.version(name) if find_spec(name) else "not installed" for name in names}


def row(name: str, measured: BenchmarkRun) -> dict[str, Any]:
    """Return a measure in the JSON: every repetition, what it was compared with, how it scales, what is missing."""
    measure, series = BENCHMARKS[name], measured.series
    kernels, implementations = measured.kernels, {}
    if kernels:
        series["ceiling"] = [ceiling(list(found)) for found in zip(*kernels.values(), strict=True)]
    for who, implementation in measure.implementations.items():
        if who not in kernels:
            implementations[who] = compared(series, who, implementation.what)
    if kernels:
        implementations["ceiling"] = compared(series, "ceiling", CEILING)
    implementations |= {aside: compared(series, aside, what) for aside, what in measure.asides.items()}
    scaling = {
        key: scaling_row(measure.scalings[key].along, *found, LARGEST_EXPONENT)
        for key, found in measured.scaling.items()
    }
    figures = {"what": measure.what, "unit": measure.unit, "implementations": implementations, "series": series}
    return figures | {"scaling": scaling, "missing": measured.missing, "products": measured.layers()}


def compared(series: dict[str, Any], who: str, what: str) -> dict[str, Any]:
    """Return an implementation's rates, and how many times as fast ours is."""
    values, ours = series.get(who), series.get("ours")
    found: dict[str, Any] = {"what": what, "rate": None, "ours_over": None}
    if values:
        found["rate"] = vars(Spread.of(values))
        found["ours_over"] = vars(Spread.of(paired(ours, values))) if ours and who != "ours" else None
    return found


def show(name: str, results: dict[str, Any]) -> None:
    """Print a measure."""
    measure = results["measures"][name]
    print(f"\n{name}: {measure['what']} ({measure['unit']}; {measure['minutes']:.1f} minutes)")
    for who, found in measure["implementations"].items():
        if found["rate"]:
            over = f"; ours is {spread_text(**found['ours_over'])} times that" if found["ours_over"] else ""
            print(f"  {who:16} {spread_text(**found['rate']):>32}{over}  ({found['what']})")
    for who, why in measure["missing"].items():
        print(f"  {who:16} {why}")
    for found in measure["scaling"].values():
        grows = spread_text(found["exponent"], found["low"], found["high"])
        print(f"  time over {found['along']}: exponent {grows}, at most {found['bound']}: {found['verdict']}")
    sys.stdout.flush()


def verdicts(results: dict[str, Any]) -> None:
    """Print the targets."""
    print()
    for target in results["targets"]:
        value = "?" if target["value"] is None else spread_text(target["value"], target["low"], target["high"])
        bound = f"{target['sense']} {target['bound']:,}"
        print(f"{target['verdict']:12} {target['name']}: {value} {target['unit']}; {bound}")
    found = [t["verdict"] for t in results["targets"]]
    found += [scaling["verdict"] for m in results["measures"].values() for scaling in m["scaling"].values()]
    counts = ", ".join(f"{found.count(v)} {v}" for v in (REACHED, MISSED, OPEN) if v in found)
    print(f"{counts}; {results['minutes']:.1f} minutes")


if __name__ == "__main__":
    main()
