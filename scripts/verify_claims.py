"""Say of each of the paper's claims whether a folder of results shows it, refutes it, or leaves it undecided.

    python scripts/verify_claims.py [--results DIR] [--json FILE] [--readme FILE]
    python scripts/verify_claims.py --error-rates [DRAWS] [--json FILE]

Reads evaluation/*.json of DIR (a run, or a folder of runs; default: results/), and results/paper.json. Runs in folders
named untrained... or iteration-02 and on are measured against the others; "the agent" of take
cover is that of the last iteration. --readme writes the list into a file, between its lines <!-- claims --> and
<!-- end of claims -->, which hold nothing else and are in it once. --error-rates simulates how often each rule errs.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import cli

from experiment.files import check_file_writable, write_json

RESULTS = Path(__file__).parents[1] / "results"
DRAWS = 1_000  # of each rule


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = cli.Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="a run or runs (results/)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts, or the rates, there")
    parser.add_argument("--readme", type=Path, metavar="FILE", help="write the list into this file's marked place")
    rates = f"simulate each rule's errors in so many draws ({DRAWS:,})"
    parser.add_argument("--error-rates", type=cli.positive, nargs="?", const=DRAWS, metavar="DRAWS", help=rates)
    return parser.parse_args()


def main() -> None:
    """Parse, decide or simulate, print."""
    arguments = parse()
    with cli.ending_well():
        for file in (arguments.json, arguments.readme):
            check_file_writable(file, "name another file")
        found = error_rates(arguments.error_rates) if arguments.error_rates else verdicts(arguments)
        if arguments.json:
            write_json(arguments.json, found)
            print(f"wrote {arguments.json}")


def verdicts(arguments: argparse.Namespace) -> list[dict]:
    """Print every claim with its verdict; returns them as they are stored."""
    from reporting.claims import CORRECTION, all_claims, lines

    claims, evidence = all_claims(arguments.results)
    for claim in claims:
        print("\n".join(lines(claim)))
    counts = Counter(claim.verdict for claim in claims)
    print("; ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
    print(CORRECTION)
    for run in evidence.left_out:
        print(f"left out: {run}, made with other settings than the runs above")
    for run, original in evidence.copies:
        print(f"passed over: what a search of {run} played, which is that of {original}")
    for file in evidence.stale:
        print(f"passed over: {file}, of weights that its controller no longer has; evaluate again")
    for task in evidence.unclaimed:
        print(f"passed over: what was played of {task}, which no claim is about")
    if arguments.readme:
        from reporting.claims_page import write_list

        write_list(arguments.readme, claims)
        print(f"wrote the list into {arguments.readme}")
    return [asdict(claim) for claim in claims]


def error_rates(draws: int) -> dict:
    """Print how often each rule errs in simulation, beside its nominal level; returns the rates as they are stored."""
    from reporting.error_rates import RULES, simulate

    seed = 0

    print(f"{'rule, with true values where it errs most':60} nominal  simulated ({draws:,} draws)")
    found = []
    for rule in RULES:
        rate = simulate(rule, draws, seed)
        print(f"{rate.rule:60} {rate.nominal:7.1%} {rate.simulated:10.1%} ± {rate.error:.1%}", flush=True)
        found.append(rate._asdict())
    command = f"python scripts/verify_claims.py --error-rates {draws}"
    return {"command": command, "seed": seed, "rates": found}


if __name__ == "__main__":
    main()
