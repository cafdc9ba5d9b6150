"""What all commands share: which cluster, how errors are told, how asynchronous work is run. Decides nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

from risen.bootstrap import Cluster, Host, open_cluster
from risen.core.spec import ClusterSpec
from risen.interfaces.errors import InterfaceError

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def cluster_option(command: F) -> F:
    """`-c/--cluster NAME`, else RISEN_CLUSTER, else the one cluster of this host."""
    return click.option(
        "-c", "--cluster", "name", envvar="RISEN_CLUSTER", help="The cluster's name (else RISEN_CLUSTER)."
    )(command)


def file_option(command: F) -> F:
    """`-f/--file`: cluster.yaml."""
    return click.option(
        "-f", "--file", "file", default="cluster.yaml", show_default=True, type=click.Path(path_type=Path)
    )(command)


def yes_option(command: F) -> F:
    """`--yes`: do not ask."""
    return click.option("--yes", is_flag=True, help="Do not ask before harm.")(command)


def host() -> Host:
    """This host, by its environment."""
    return Host.from_environment(os.environ)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run asynchronous work; operating errors become one line on standard error and exit code 1."""
    try:
        return asyncio.run(work)
    except InterfaceError as error:
        raise click.ClickException(f"{error}") from error
    except KeyboardInterrupt as stop:
        raise click.Abort from stop


def read_spec(file: Path) -> ClusterSpec:
    """The spec in a file; every problem in it is told at once."""
    from risen.codec.cluster_yaml import parse_cluster
    from risen.codec.yaml_nodes import Problems

    try:
        text = file.read_text()
    except FileNotFoundError as error:
        raise click.ClickException(f"{file}: no such file; `risen init` writes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file}: {error}") from error
    try:
        return parse_cluster(text, str(file))
    except Problems as problems:
        raise click.ClickException(str(problems)) from problems


def chosen(name: str | None) -> str:
    """The cluster meant: the one named, else the only one on this host."""
    if name:
        return name
    there = host().clusters()
    match there:
        case (only,):
            return only
        case ():
            raise click.ClickException("no cluster on this host yet; `risen init` and `risen up` make one")
        case _:
            raise click.UsageError(f"which cluster? -c with one of: {', '.join(there)}")


async def opened(name: str | None) -> Cluster:
    """Open the cluster meant."""
    return await open_cluster(host(), chosen(name))


def need_root(why: str) -> None:
    """Refuse early when not root."""
    if os.geteuid() != 0:
        raise click.ClickException(f"must be root, because {why}: run it with sudo")
