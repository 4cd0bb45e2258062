"""Every stage in order, from random play to the table of results.

    python scripts/reproduce.py doomrnn --preset quick --run runs/demo
    python scripts/reproduce.py doomrnn --preset paper --run runs/paper --ranks 2 --seeds 3

Stages that are finished are passed over, so the same command goes on where it was stopped.
"""

import cli


def parse():
    """The arguments."""
    parser = cli.parser(__doc__)
    parser.add_argument("--ranks", type=cli.positive, help="MPI ranks (default: one a core)")
    parser.add_argument("--seeds", type=cli.positive, default=1, help="controllers, with seeds 0 to K-1 (default 1)")
    parser.add_argument("--temperature", type=cli.temperature, help="of the dream (default: controller.temperature)")
    return parser.parse_args()


def main() -> None:
    """Parse and run the stages."""
    arguments = parse()
    with cli.ending_well():
        import reproduction

        run, task = cli.resolve(arguments), cli.task(arguments.task)
        reproduction.reproduce(run, task, arguments)


if __name__ == "__main__":
    main()
