"""`risen doctor`: whether this host can carry a local cluster, what one adds to it, and how to mend what fails."""

from __future__ import annotations

import os
import textwrap
from dataclasses import asdict
from pathlib import Path

import click

from risen.bootstrap import examine_host
from risen.cli.context import file_option, host, read_spec
from risen.cli.output import output_option, tell_data
from risen.interfaces.checks import HostReport

WIDTH = 118


def render(report: HostReport, undo: str = "risen down") -> str:
    """The lines of EXAMPLES: what the host is, what a cluster adds and leaves alone, then what fails."""
    checks = report.checks
    by_name = {check.name: check for check in checks}
    facts = [by_name[name].found for name in ("system", "memory", "cgroup", "kernel") if name in by_name]
    facts.insert(1, f"{os.cpu_count()} CPU")
    failed = [check for check in checks if not check.ok]
    verdict = ", ".join(["ok"] * report.ok + [f"{len(failed)} to mend"] * bool(failed))
    lines = [f"{'doctor  ' + ' · '.join(facts):<96} {verdict}"]
    lines.append(_wrapped("        adds: ", ", ".join(check.adds for check in checks if check.adds)))
    lines.append(f"        leaves alone: {', '.join(report.neighbours)}    undo: {undo}")
    for check in failed:
        lines.append(f"  {check.name}: {check.found}")
        lines.append(f"    mend: {check.mend}")
    return "\n".join(lines)


def _wrapped(head: str, text: str) -> str:
    """No path or command is broken in two."""
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _next(report: HostReport, has_file: bool) -> str:
    if not report.ok:
        return "mend the above, then again: risen doctor"
    return "risen up" if has_file else "risen init   then: risen up"


@click.command()
@file_option
@output_option("text")
def doctor(file: Path, output: str) -> None:
    """Check this host, say what a cluster adds to it and how to mend what is missing."""
    report = examine_host(host(), read_spec(file) if file.exists() else None)
    if output != "text":
        tell_data([asdict(check) for check in report.checks], output)
    else:
        click.echo(render(report))
        click.echo(f"next    {_next(report, file.exists())}")
    if not report.ok:
        raise SystemExit(1)
