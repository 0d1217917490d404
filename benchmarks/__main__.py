"""The command line: `python -m benchmarks run`, `python -m benchmarks page` and `python -m benchmarks compare`."""

import argparse
import sys
from pathlib import Path

EXIT_DONE, EXIT_BAD_USE, EXIT_INTERRUPTED = 0, 2, 130

_PAGE = Path("docs/performance.md")

_EXAMPLES = """\
examples:
  python -m benchmarks run                     the full suite: results, charts and the page
  python -m benchmarks run --quick             fewer points and rounds
  python -m benchmarks run -k training_step    a part of it; any options of pytest, and those in benchmarks/conftest.py
  python -m benchmarks page benchmarks/results/my-machine.json
                                               charts and page again, from the results
  python -m benchmarks compare A.json B.json   what moved between two runs beyond the spread

exit status: 0 done, 1 something was found or failed, 2 bad use
"""

_RUN = """\
The same as `python -m pytest benchmarks --benchmark-quiet`, with the options given after `run`; those of the
benchmarks themselves are in benchmarks/conftest.py, and in what `python -m pytest benchmarks --help` prints.
"""

_PAGE_DESCRIPTION = """\
Draw the charts into a folder beside the results, named after the machine, and write the page: from the results alone,
so that nothing is measured. Each file is written whole or not at all.
"""


def build_parser():
    """The argument parser. Raises ImportError where the packages of the benchmarks are missing."""
    from benchmarks import compare

    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure the layers against planar convolutions and other implementations, and say what was found.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="{run,page,compare}")
    raw = {"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False}
    commands.add_parser("run", help="measure, and write results, charts and the page", description=_RUN, **raw)
    page = commands.add_parser(
        "page", help="write charts and page again, from results", description=_PAGE_DESCRIPTION, **raw
    )
    page.add_argument("results", type=Path, metavar="RESULTS.json", help="what a run has written")
    where = page.add_mutually_exclusive_group()
    where.add_argument("--page", type=Path, default=_PAGE, metavar="FILE", help="default: %(default)s")
    where.add_argument("--charts-only", action="store_true", help="write no page")
    comparing = commands.add_parser("compare", help="what moved between two runs", description=compare.__doc__, **raw)
    compare.add_arguments(comparing)
    return parser


def main(arguments=None):
    """Run the command line; returns the exit status."""
    try:
        parser = build_parser()
        options, others = parser.parse_known_args(arguments)
        if others and options.command != "run":
            parser.error(f"unrecognized arguments: {' '.join(others)}")
        if options.command == "run":
            return _run(others)
        return {"page": _write_page, "compare": _compare}[options.command](options)
    except ImportError as error:
        return _refuse("", f"{error}. The benchmarks need the packages in benchmarks/requirements.txt.")
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED


def _run(options):
    import pytest

    return int(pytest.main(["benchmarks", "--benchmark-quiet", *options]))


def _compare(options):
    from benchmarks import compare

    return compare.run(options)


def _write_page(options):
    from benchmarks.page import publish
    from benchmarks.results import load_results

    folder, page = options.results.parent, None if options.charts_only else options.page
    try:
        results = load_results(options.results)
        publish(results, folder, page)
    except OSError as error:
        return _refuse(" page", f"{error.filename} cannot be written: {error.strerror}.")
    except ValueError as error:
        return _refuse(" page", str(error))
    except (LookupError, TypeError) as error:  # a field is missing, or is not what it should be
        reason = f"{type(error).__name__}: {error}"
        return _refuse(" page", f"{options.results} holds no complete results of the benchmarks ({reason}).")
    print(f"written to {folder / results['machine']['name']}" + (f" and {page}" if page else ""))
    return EXIT_DONE


def _refuse(command, sentence):
    print(f"python -m benchmarks{command}: {sentence}", file=sys.stderr)
    return EXIT_BAD_USE


if __name__ == "__main__":
    sys.exit(main())
