"""What all commands share: which cluster, how errors are told, how asynchronous work is run. Decides nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from risen.bootstrap import Cluster, Host, open_cluster
from risen.codec import dns_label
from risen.core.spec import ClusterSpec
from risen.interfaces.errors import InterfaceError

T = TypeVar("T")
if TYPE_CHECKING:
    from risen.codec.cluster_yaml import ClusterFile

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
    """The spec in a file; every problem in it is told at once. Credentials that it points at are not read."""
    return read_cluster_file(file, with_credentials=False).spec


def read_cluster_file(file: Path, with_credentials: bool = True) -> ClusterFile:
    """The same with the credentials that it points at."""
    from risen.codec.cluster_yaml import read_cluster
    from risen.codec.yaml_nodes import Problems

    try:
        text = file.read_text()
    except FileNotFoundError as error:
        raise click.ClickException(f"{file}: no such file; `risen init` writes one") from error
    except IsADirectoryError as error:
        raise click.ClickException(
            f"{file}: a folder; name the file in it: -f {file}/cluster.yaml"
        ) from error
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise click.ClickException(
            f"{file}: not a text in UTF-8 (byte {error.start} cannot be read)"
        ) from error
    try:
        return read_cluster(text, str(file), lambda path: (file.parent / path).read_text(), with_credentials)
    except Problems as problems:
        raise click.ClickException(str(problems)) from problems


def chosen(name: str | None) -> str:
    """The cluster meant: the one named, else the only one on this host. It is a name and no path, for its folder is
    found by it, and `down` deletes that as root."""
    if name:
        return _named(name, "-c or RISEN_CLUSTER")
    there = host().clusters()
    match there:
        case (only,):
            return _named(only, f"{host().folder(only)} is no cluster's")
        case ():
            raise click.ClickException("no cluster on this host yet; `risen init` and `risen up` make one")
        case _:
            raise click.UsageError(f"which cluster? -c with one of: {', '.join(there)}")


def _named(name: str, where: str) -> str:
    try:
        return dns_label.name(name)
    except ValueError as error:
        raise click.UsageError(f"{where}: {error}") from error


async def opened(name: str | None) -> Cluster:
    """Open the cluster meant."""
    return await open_cluster(host(), chosen(name))


def ask(question: str) -> None:
    """Go on only after a yes. Without a terminal nobody can be asked, and nothing is done."""
    try:
        agreed = click.confirm(question)
    except click.Abort as end:
        raise no_answer(end) from end
    if not agreed:
        raise click.ClickException("not agreed to: nothing was done")


def no_answer(end: click.Abort, instead: str = "say --yes to go on") -> click.ClickException | click.Abort:
    """What a question without an answer means: Ctrl-C at a terminal, else that there is nobody to ask."""
    if sys.stdin.isatty():
        return end
    return click.ClickException(f"there is no terminal to ask on: nothing was done; {instead}")


def need_root(why: str) -> None:
    """Refuse early when not root."""
    if os.geteuid() != 0:
        raise click.ClickException(f"must be root, because {why}: run it with sudo")
