"""HTTP over mutual TLS for the adapters above: one session per identity, time-outs, one table of faults.

It knows nothing of what is asked: no Kubernetes, no etcd, no JSON.
"""

from __future__ import annotations

import importlib
import os

_FILE = "SSL_CERT_FILE"


def _import_without_public_authorities(module: str) -> None:
    """Import aiohttp without its reading of the host's 140 public CAs, 60 ms of every command: it makes a context
    of them at once, and nothing here trusts any but a cluster's own. (OpenSSL reads the variable at that moment.)"""
    kept = os.environ.get(_FILE)
    os.environ[_FILE] = os.devnull
    try:
        importlib.import_module(module)
    finally:
        if kept is None:
            del os.environ[_FILE]
        else:
            os.environ[_FILE] = kept


_import_without_public_authorities("aiohttp")
