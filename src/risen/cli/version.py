"""`risen version`."""

from __future__ import annotations

import click

from risen import __version__


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"risen {__version__}")
