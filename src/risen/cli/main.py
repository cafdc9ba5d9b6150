"""The `risen` command: a group that imports a subcommand's module only when it is asked for."""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys

import click

from risen import __version__

IMPORTED_OBJECTS = 50_000
"""What a command imports makes about so many objects that all stay: looking among them for garbage, as Python does
after every 700, takes a twentieth of `status`."""
COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("init", "risen.cli.init:init", "Write a commented cluster.yaml and recipe.yaml."),
    ("recipe", "risen.cli.bakery:recipe_group", "Resolve a recipe into its recipe.lock."),
    ("bake", "risen.cli.bakery:bake_command", "Bake images from a recipe.lock."),
    ("images", "risen.cli.bakery:images_group", "List, show, compare and prune baked images."),
    ("plan", "risen.cli.apply:plan", "Show what applying cluster.yaml would change."),
    ("apply", "risen.cli.apply:apply", "Apply cluster.yaml."),
    ("up", "risen.cli.up:up", "Bake, start and watch a cluster rise."),
    ("releases", "risen.cli.releases:releases", "List the releases of a cluster."),
    ("release", "risen.cli.releases:release_group", "Show a release, or what differs between two."),
    ("status", "risen.cli.status:status", "Everything about the cluster on one screen."),
    ("get", "risen.cli.get:get", "List instances, members or backends."),
    ("describe", "risen.cli.describe:describe", "Everything known of one instance."),
    ("rollout", "risen.cli.rollout:rollout", "Follow a change, hold it, go back; the story of all changes."),
    ("replace", "risen.cli.replace:replace", "Put another in an instance's place, drained first."),
    ("kill", "risen.cli.kill:kill", "End an instance now; another rises."),
    ("scale", "risen.cli.scale:scale", "Set how many of a pool are wanted, between its bounds."),
    ("kubeconfig", "risen.cli.kube:kubeconfig", "Issue a kubeconfig that is good for hours."),
    ("kubectl", "risen.cli.kube:kubectl", "Run the cluster's own kubectl."),
    ("events", "risen.cli.events:events", "What happened, and why."),
    ("serve", "risen.cli.serve:serve", "Run the controller in the foreground."),
    ("down", "risen.cli.down:down", "Delete a cluster, its data and keys; images stay."),
    ("stop", "risen.cli.power:stop", "Power all instances off, keeping their disks."),
    ("start", "risen.cli.power:start", "Power all instances on again, without the store."),
    ("doctor", "risen.cli.doctor:doctor", "Check this host, and say how to mend it."),
    ("demo", "risen.cli.demo:demo", "The real engine on a simulated cluster; no root needed."),
    ("version", "risen.cli.version:version", "Print the version."),
)


class LazyGroup(click.Group):
    """Lists its commands from a table and imports one only to run it, so that --help stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the table's order."""
        return [name for name, _, _ in COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command. Unknown names give None, which click reports."""
        for name, target, _ in COMMANDS:
            if name == cmd_name:
                module, _, attribute = target.partition(":")
                command = getattr(importlib.import_module(module), attribute)
                assert isinstance(command, click.Command)
                return command
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, _, text in COMMANDS])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="risen %(version)s")
def risen() -> None:
    """Kubernetes nodes that rise from the dead."""


def main() -> None:
    """The program `risen`: `answer`, and then an end at once.

    Python would take every module apart object by object first, a tenth of what `status` may take. By then all that
    was written is flushed, and nothing that a command began in this program still runs.
    """
    code: object = 0
    try:
        answer()
    except SystemExit as end:
        code = end.code
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # who read it has gone
            code = code or 1
    os._exit(code if isinstance(code, int) else int(code is not None))


def answer() -> None:
    """Run a command; usage errors exit with 64, failures that were told with 1, Ctrl-C with 130."""
    from risen.interfaces.errors import InterfaceError

    gc.set_threshold(IMPORTED_OBJECTS)
    try:
        risen.main(prog_name="risen", standalone_mode=False)
    except click.exceptions.Exit as end:
        sys.exit(end.exit_code)
    except click.Abort:
        click.echo("stopped; what was done stays: run it again and it carries on", err=True)
        sys.exit(130)
    except click.UsageError as error:
        error.show()
        sys.exit(64)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except (InterfaceError, UnicodeDecodeError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except OSError as error:
        click.echo(f"Error: {_told(error)}", err=True)
        sys.exit(1)


def _told(error: OSError) -> str:
    """What the system refused, where, and how to mend it."""
    where = f"{error.filename}: " if error.filename else ""
    match error.errno:
        case errno.EACCES | errno.EPERM if os.geteuid() != 0:
            mend = ": run it with sudo"
        case errno.ENOSPC | errno.EDQUOT:
            mend = ": make room there, then run it again"
        case errno.EROFS:
            mend = ": mount it writable, or set RISEN_HOME to another folder"
        case _:
            mend = ""
    return f"{where}{error.strerror or error}{mend}"


if __name__ == "__main__":
    main()
