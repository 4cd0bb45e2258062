"""Say of each of the paper's claims whether the released results bear it out.

    python scripts/verify_claims.py [--json FILE]

Reads evaluation/*.json of results/<task>/ and of the run folders in it, and results/paper.json. A run folder named
"untrained" is one whose M was never trained.
"""

import argparse
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import cli

RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    """Parse, decide, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts there")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help="where the results are (results)")
    arguments = parser.parse_args()
    with cli.ending_well():
        from reporting.claims import Verifier

        claims = Verifier(arguments.results).claims()
        for claim in claims:
            print(f"{claim.verdict:16} {claim.name}: {claim.says}\n{'':16} {claim.figures}")
        counts = Counter(claim.verdict.split(",")[0] for claim in claims)
        print("; ".join(f"{count} {verdict}" for verdict, count in counts.most_common()))
        if arguments.json:
            from experiment.files import write_json

            write_json(arguments.json, [asdict(claim) for claim in claims])


if __name__ == "__main__":
    main()
