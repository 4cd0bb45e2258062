"""Draw what a run has learned: figures, videos, and one page that holds them all.

    python scripts/report.py --run runs/demo

Writes report/index.html (self-contained), *.png, *.svg and *.mp4; it shows whatever stages there are and says what is
missing.
"""

from pathlib import Path

import cli


def main() -> None:
    """Parse and draw."""
    parser = cli.Parser(description=__doc__, formatter_class=cli.Formatter)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--controller", metavar="NAME", help="whose drive to show (default: the best evaluated)")
    parser.add_argument("--seed", type=cli.seed, default=11, help="seed of the drives shown (default 11)")
    arguments = parser.parse_args()
    with cli.ending_well():
        run = cli.open_existing(arguments.run)
        cli.load_tensorflow()
        from reporting.page import Page
        from reporting.sections import Report

        page = Page(arguments.run / "report")
        report = Report(run, page, arguments.controller, arguments.seed)
        report.draw()
        print(f"report: {page.count} pictures and videos; wrote {page.save(report.title)}")


if __name__ == "__main__":
    main()
