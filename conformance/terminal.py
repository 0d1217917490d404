"""What the command line shows: a progress bar, and a table of the report."""

from contextlib import contextmanager

from conformance.report import by_property
from conformance.runner import DECLINED, EXPECTED_FAILURE, FAILED, PASSED, UNEXPECTED_PASS

_SHOWN_FAILURES = 10  # the reports have them all


@contextmanager
def progress(total):
    """A progress bar on a terminal, nothing elsewhere: yields advance(description), to be called `total` times."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    description = TextColumn("{task.description:24}", markup=False)
    columns = (description, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        yield lambda description: bar.update(task, description=description, advance=1)


def show(report, html):
    """The report as a table in the terminal."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(title="Conformance: passed / run")
    table.add_column("property")
    backends = report["backends"]
    available = [backend for backend in backends if backend["unavailable_because"] is None]
    for backend in available:
        table.add_column(escape(backend["name"]), justify="right")
    for family, counts in by_property(report):
        table.add_row(family, *(_cell(counts[backend["name"]]) for backend in available))
    table.add_section()
    table.add_row("all", *(_cell(backend["counts"]) for backend in available))
    console.print(table)
    if any(result["property_name"] == "planted-fault" for result in report["results"]):
        _show_faults(console, report)
    for backend in backends:
        if backend["unavailable_because"]:
            console.print(escape(f"not run: {backend['name']}. {backend['unavailable_because']}"), highlight=False)
    failed = [result for result in report["results"] if result["outcome"] in (FAILED, UNEXPECTED_PASS)]
    for result in failed[:_SHOWN_FAILURES]:
        name = escape(f"{result['backend']} {result['id']}")
        console.print(f"[red]{result['outcome']}[/red] {name}", highlight=False, soft_wrap=True)
        console.print(f"  {escape(result['message'].splitlines()[0])}", highlight=False)  # tracebacks are in the report
    if len(failed) > _SHOWN_FAILURES:
        console.print(f"... and {len(failed) - _SHOWN_FAILURES} more, in the report")
    for pattern in report["stale_expected_failures"]:
        console.print(f"[red]stale expected failure[/red] {escape(pattern)}: matches no case", highlight=False)
    identical = report.get("identical_across_backends", {"compared": 0})
    if identical["compared"]:
        console.print(
            f"{identical['identical']} of {identical['compared']} outputs and gradients on integers are identical in "
            f"every bit across {escape(', '.join(backend['name'] for backend in backends if backend['run']))}",
            highlight=False,
        )
    verdict = "[green]all checks passed[/green]" if report["passed"] else "[red]NOT all checks passed[/red]"
    console.print(f"{verdict} in {report['seconds']:.1f} s; report: {escape(html)}", highlight=False)


def _cell(counts):
    run, bad = sum(counts.values()), counts[FAILED] + counts[UNEXPECTED_PASS]
    if not run:
        return "-"
    aside = "".join(f" ({counts[o]} {o})" for o in (EXPECTED_FAILURE, DECLINED) if counts[o])
    return f"{counts[PASSED]} / {run}{aside}" + (f" [red]({bad} failed)[/red]" if bad else "")


def _show_faults(console, report):
    from rich.markup import escape

    for result in report["results"]:
        if result["property_name"] == "planted-fault":
            caught_by = result["evidence"]["caught_by"]
            verdict = "[green]caught[/green]    " if caught_by else "[red]NOT CAUGHT[/red]"
            console.print(f"{verdict} {result['subject']}: {escape(result['evidence']['fault'])}", highlight=False)
            if caught_by:
                first = next(iter(caught_by.values())).split(": ")[0]
                others = f" and {len(caught_by) - 1} more properties" if len(caught_by) > 1 else ""
                console.print(f"           by {escape(first)}{others}", highlight=False, soft_wrap=True)
