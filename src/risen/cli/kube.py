"""`risen kubeconfig` and `risen kubectl`: access to the Kubernetes API for hours."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from risen.authority.identities import IdentityKind
from risen.bootstrap import CLOCK, Cluster, identity_of, kubectl_of, local_settings, open_authorities
from risen.cli.asking import caller
from risen.cli.context import cluster_option, host, opened, run
from risen.cli.output import tell_next
from risen.codec import records
from risen.core.events import AccessGiven
from risen.instance.addons import ADMINS
from risen.interfaces.errors import InterfaceError


@click.command()
@cluster_option
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write to this file (mode 0600) instead of printing."
)
@click.option("--merge", is_flag=True, help="Merge into your ~/.kube/config; a backup is kept.")
@click.option("--hours", default=8.0, show_default=True, help="How long it is good for, at most 168.")
def kubeconfig(name: str | None, out: Path | None, merge: bool, hours: float) -> None:
    """Issue a kubeconfig of the group risen:admins that is good for hours.

    It is printed, or written to a file of its own, or merged: only when asked to. Under sudo files are the caller's.
    Who was given it, and for how long, stands in `risen events`, where the store can be written.
    """
    if not 0 < hours <= 168:
        raise click.UsageError("--hours: between 0 and 168 (a week)")
    if merge and out is not None:
        raise click.UsageError("--out and --merge: one of them")
    text = run(_given(name, hours))
    if merge:
        _tell_merged(text, hours)
        return
    if out is None:
        click.echo(text, nl=False)
        tell_next("risen kubeconfig --out FILE   or: --merge")
        return
    _write_private(out, text)
    click.echo(f"next    export KUBECONFIG={out.absolute()}   (good for {hours:g} h)")


def _tell_merged(text: str, hours: float) -> None:
    from risen.cli.merging import merge_file

    target, backup = merge_file(text, CLOCK.unix())
    kept = f" (as it was: {backup})" if backup else ""
    click.echo(f"merged  {target}{kept}")
    click.echo(f"next    kubectl get nodes   (good for {hours:g} h)")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@cluster_option
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def kubectl(name: str | None, words: tuple[str, ...]) -> None:
    """Run the cluster's own kubectl: risen kubectl get nodes."""
    program = run(_program(name))
    with tempfile.TemporaryDirectory(prefix="risen-kubectl-") as folder:
        file = Path(folder) / "kubeconfig"
        _write_private(file, run(_render(name, 1.0)))
        done = subprocess.run([program, *words], env={**os.environ, "KUBECONFIG": str(file)}, check=False)
    sys.exit(done.returncode)


async def _program(name: str | None) -> Path:
    return kubectl_of(host(), (await opened(name)).spec.kubernetes_version)


async def _given(name: str | None, hours: float) -> str:
    """A kubeconfig, once it is recorded who is given it: nothing takes it back before its hours are over. Where that
    cannot be recorded it is given nevertheless, for somebody may need it to mend just that."""
    cluster = await opened(name)
    text = await render_kubeconfig(cluster, hours)
    event = AccessGiven(CLOCK.unix(), caller(), ADMINS, hours)
    try:
        await cluster.store.append(records.EVENTS, records.encode(event))
    except InterfaceError as error:
        click.echo(f"careful not recorded who was given this: {error}", err=True)
    return text


async def _render(name: str | None, hours: float) -> str:
    cluster = await opened(name)
    return await render_kubeconfig(cluster, hours)


async def render_kubeconfig(cluster: Cluster, hours: float) -> str:
    """A kubeconfig with a new key and certificate in it."""
    authorities = await open_authorities(cluster)
    made = identity_of(authorities, IdentityKind.ADMIN, hours)
    inline = {key: base64.b64encode(text.encode()).decode() for key, text in (
        ("certificate", made.certificate), ("key", made.key), ("authority", authorities.cluster.certificate),
    )}  # fmt: skip
    server = f"https://{local_settings(cluster).gateway}:6443"
    return f"""apiVersion: v1
kind: Config
current-context: {cluster.name}
clusters:
- name: {cluster.name}
  cluster: {{server: "{server}", certificate-authority-data: {inline["authority"]}}}
contexts:
- name: {cluster.name}
  context: {{cluster: {cluster.name}, user: {cluster.name}-admin}}
users:
- name: {cluster.name}-admin
  user: {{client-certificate-data: {inline["certificate"]}, client-key-data: {inline["key"]}}}
"""


def _write_private(file: Path, text: str) -> None:
    """Write with mode 0600 from the first byte, also into a file that was there with another; under sudo it belongs to
    the caller. What is no file (/dev/stdout, a named pipe) is only written to."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as output:
        if stat.S_ISREG(os.fstat(output.fileno()).st_mode):
            os.fchmod(output.fileno(), 0o600)
            output.truncate()
            if os.geteuid() == 0 and "SUDO_UID" in os.environ:
                os.fchown(output.fileno(), int(os.environ["SUDO_UID"]), int(os.environ.get("SUDO_GID", "-1")))
        output.write(text)
