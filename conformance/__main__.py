"""The command line: `python -m conformance run` and `python -m conformance list`."""

import argparse
import sys

from conformance.backends import KNOWN

EXIT_PASSED, EXIT_FAILED, EXIT_BAD_USE, EXIT_INTERRUPTED = 0, 1, 2, 130

RUN_EXAMPLES = """\
examples:
  python -m conformance run                                    everything that is installed, on the default pictures
  python -m conformance run --backends numpy,torch             only these two
  python -m conformance run --cases 'gradient.*/P4MConv*'      only gradients of the p4m layers
  python -m conformance run --image cat.jpg dog.png            on pictures of your own
  python -m conformance run --backends mypackage.port:MyPort   a port of your own, a subclass of conformance.Backend
  python -m conformance run --import mygroups --cases '*P3Conv*'
                                                               a group of your own, which mygroups.py makes known by
                                                               groupy.gconv.layer_specs.add_group
  python -m conformance run --self-test                        planted faults, each of which must be caught

exit status: 0 all passed, 1 a check failed, 2 bad use
"""


def build_parser():
    """The argument parser."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Prove that implementations of G-convolutions compute identical, equivariant results.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="run|list")
    run = commands.add_parser(
        "run",
        help="run the checks and write a report",
        description="Run every check on every backend, and write report.json, report.html and junit.xml.",
        epilog=RUN_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument(
        "--backends",
        metavar="NAMES",
        help=f"comma-separated, of {', '.join(KNOWN)} and 'package.module:ClassName' "
        "(default: all of the former that are installed)",
    )
    _add_selection(run)
    run.add_argument(
        "--image",
        metavar="FILE",
        nargs="+",
        action="extend",
        help="pictures to run on, instead of the default ones",
    )
    run.add_argument(
        "--report",
        metavar="DIR",
        default="conformance-report",
        help="where the three files go (default: %(default)s)",
    )
    run.add_argument("--self-test", action="store_true", help="plant faults instead; each must be caught")
    listing = commands.add_parser("list", help="list the ids of the cases", description="List the ids of the cases.")
    _add_selection(listing)
    return parser


def _add_selection(command):
    command.add_argument("--cases", metavar="GLOB", default="*", help="only cases whose id matches (default: all)")
    command.add_argument(
        "--import",
        dest="modules",
        metavar="MODULE",
        action="append",
        default=[],
        help="import a module first, as from the current directory: one that adds groups; may be repeated",
    )


def main(arguments=None):
    """Run the command line; returns the exit status."""
    options = build_parser().parse_args(arguments)
    # Heavier imports come after the parser, so that --help and mistakes answer at once.
    from conformance import commands

    try:
        return {"run": commands.run, "list": commands.list_cases}[options.command](options)
    except commands.BadUse as problem:
        print(f"python -m conformance: {problem}", file=sys.stderr)
        return EXIT_BAD_USE
    except KeyboardInterrupt:
        print("interrupted; no report was written", file=sys.stderr)
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
