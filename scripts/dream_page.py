"""Make the dream playable in a browser: one HTML file that needs no server, no network and no library.

    python scripts/dream_page.py --run results/doomrnn --to dream.html

It holds M, V's decoder and the run's controllers in half precision (14 MB for Doom). A dozen real frames for its
latent explorer are kept in the run's frames.npz; where that is missing they are chosen from the run's episodes, or
from a few new games.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cli

from experiment.files import atomic_write, check_file_writable


def parse() -> argparse.Namespace:
    """Return the arguments."""
    parser = cli.Parser(description=__doc__, formatter_class=cli.Formatter)
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="the run's folder")
    parser.add_argument("--to", type=Path, metavar="FILE", help="the page (default: report/dream.html in the run)")
    parser.add_argument(
        "--controller",
        metavar="NAME",
        help="who plays first (default: the task's usual one, or else the best evaluated)",
    )
    parser.add_argument("--open", action="store_true", help="show it in the browser")
    return parser.parse_args()


def main() -> None:
    """Parse, gather, write."""
    arguments = parse()
    with cli.ending_well():
        path = arguments.to or arguments.run / "report" / "dream.html"
        check_file_writable(path, "name another file with --to")
        size = make(arguments.run, path, arguments.controller)
        print(f"dream: wrote {path}, {size / 1e6:.1f} MB; open it in any browser")
    if arguments.open:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def make(folder: Path, path: Path, controller: str | None) -> int:
    """Write the page of the run in `folder`; returns its size in bytes."""
    run = cli.open_existing(folder)
    cli.need_models(run)
    cli.load_tensorflow()
    from reporting.dream_data import page_data
    from reporting.dream_html import dream_html

    page = dream_html(page_data(run, cli.task(run.task), controller))
    atomic_write(path, page)
    return len(page)


if __name__ == "__main__":
    main()
