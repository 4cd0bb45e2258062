"""Draw what a run has learned: figures, videos, and one page that holds them all.

    python scripts/report.py --run runs/demo

Writes report/index.html (self-contained), *.png, *.svg and *.mp4; it shows whatever stages there are and says what is
missing.
"""

from pathlib import Path

import cli

from experiment.errors import InputError
from experiment.files import check_writable


def main() -> None:
    """Parse and draw."""
    parser = cli.Parser(description=__doc__, formatter_class=cli.Formatter)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--controller", metavar="NAME", help="whose episode to show (default: the best evaluated)")
    parser.add_argument("--to", type=Path, metavar="DIR", help="where the page goes (default: report/ in the run)")
    parser.add_argument("--seed", type=cli.seed, default=11, help="seed of the episodes shown (default 11)")
    arguments = parser.parse_args()
    with cli.ending_well():
        run, folder = cli.open_existing(arguments.run), arguments.to or arguments.run / "report"
        check_writable(folder, "name another folder with --to")
        if arguments.controller and not (run.path / "controller" / arguments.controller / "best.json").exists():
            raise InputError(f"--controller {arguments.controller}: there is none in {run.path / 'controller'}")
        cli.load_tensorflow()
        from reporting.page import Page
        from reporting.sections import Report

        page = Page(folder)
        report = Report(run, page, arguments.controller, arguments.seed)
        report.draw()
        wrote = page.save(report.title)
        print(f"report: {page.count} figures and videos; wrote {wrote}")
        for name in page.failed:
            print(f"report: not made: {name}")


if __name__ == "__main__":
    main()
