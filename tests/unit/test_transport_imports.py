"""What a command waits for before it does anything: imports."""

from __future__ import annotations

import os
import subprocess
import sys

SHOW = """
import os, sys
import risen.transport.session
from aiohttp import connector
print(len(connector._SSL_CONTEXT_VERIFIED.get_ca_certs()), os.environ.get("SSL_CERT_FILE"))
"""


def shown(variable: str | None) -> str:
    """What a fresh interpreter shows after importing the transport."""
    environment = {key: value for key, value in os.environ.items() if key != "SSL_CERT_FILE"}
    if variable is not None:
        environment["SSL_CERT_FILE"] = variable
    done = subprocess.run(
        [sys.executable, "-c", SHOW], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_importing_the_transport_reads_no_public_authority_and_leaves_the_environment_alone() -> None:
    assert shown(None) == "0 None"


def test_importing_the_transport_puts_a_variable_of_the_users_back() -> None:
    assert shown("/nowhere/at/all.pem") == "0 /nowhere/at/all.pem"


def test_looking_at_a_cluster_imports_nothing_that_renders_or_serves() -> None:
    show = (
        "import sys, risen.cli.status, risen.services.revise, risen.adapters.kubernetes.client;"
        "heavy = ('risen.instance.control_plane', 'aiohttp.web', 'yaml', 'pydantic', 'jinja2', 'risen.sim');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
