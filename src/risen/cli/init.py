"""`risen init`: the two files a user edits, commented. Overwrites nothing; looks at nothing else on the host."""

from __future__ import annotations

from pathlib import Path

import click

from risen.codec.cluster_yaml import parse_cluster
from risen.codec.recipe_yaml import default_recipe_yaml
from risen.codec.scaffold import Scaffold, cluster_yaml_text
from risen.codec.yaml_nodes import Problems

_DEFAULT = Scaffold()


@click.command()
@click.option("--name", default=_DEFAULT.name, show_default=True, help="The cluster's name.")
@click.option(
    "--control-plane",
    default=_DEFAULT.control_plane,
    show_default=True,
    help="Control-plane instances: 1, 3 or 5.",
)
@click.option("--workers", default=_DEFAULT.workers, show_default=True, help="Workers.")
@click.option("--subnet", default=_DEFAULT.subnet, show_default=True, help="Network of the instances, a /24.")
@click.argument("folder", default=".", type=click.Path(file_okay=False, path_type=Path))
def init(name: str, control_plane: int, workers: int, subnet: str, folder: Path) -> None:
    """Write a commented cluster.yaml and recipe.yaml into FOLDER (this one, if none is named).

    A file that is there already stays as it is.
    """
    text = cluster_yaml_text(Scaffold(name, control_plane, workers, subnet))
    try:
        parse_cluster(text, "cluster.yaml")
    except Problems as problems:
        raise click.UsageError("\n".join(f"{one.message}" for one in problems.problems)) from None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / "cluster.yaml", text)
        _write(folder / "recipe.yaml", default_recipe_yaml())
    except OSError as error:
        raise click.ClickException(f"cannot write {error.filename}: {error.strerror}") from None
    start = "" if folder == Path() else f'cd "{folder}" && '
    click.echo(f"next    {start}risen up        (as root; first: risen doctor)")


def _write(path: Path, text: str) -> None:
    """Write a file that is not there yet; say what was done."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        click.echo(f"keeps   {path} (there already, not changed)")
    else:
        click.echo(f"wrote   {path}")
