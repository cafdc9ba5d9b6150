"""`risen version`."""

from __future__ import annotations

import click

from risen import __version__
from risen.cli.output import output_option, tell_data


@click.command()
@output_option("text")
def version(output: str) -> None:
    """Print the version."""
    if output == "text":
        click.echo(f"risen {__version__}")
    else:
        tell_data({"version": __version__}, output)
