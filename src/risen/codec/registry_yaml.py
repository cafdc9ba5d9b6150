"""Image registries in cluster.yaml, and their credentials out of the files that it names.

A credentials file is Docker's config.json, as `docker login` writes it and `kubectl create secret docker-registry`
takes it. What is read here is secret: no message quotes it. Opens no file: whoever reads is handed in.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from risen.codec.rollout_checks import Beside
from risen.codec.written import Written, shown
from risen.codec.yaml_nodes import Document, Path, Problem

_HOST = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*(:[1-9]\d{0,4})?")
_MOST = 253
"""Characters of a DNS name."""


def registry(value: str) -> str:
    """`registry.example.com` or `registry.example.com:5000`, as images are named by it."""
    if not _HOST.fullmatch(value) or len(value) > _MOST:
        raise ValueError(
            f"must be a registry as images name it, such as registry.example.com:5000, not {shown(value)}"
        )
    return value


class RegistryWritten(Written):
    """A registry that wants credentials."""

    host: Annotated[str, AfterValidator(registry)] = Field(
        description="as images name it, such as registry.example.com:5000; docker.io for Docker Hub"
    )
    credentials_file: str = Field(
        description="Docker's config.json with this registry under auths, a path from cluster.yaml's folder; it is "
        "sealed into the store, and instances get what is in force when they are born"
    )


def check_registries(beside: Beside | None, auths: dict[str, str]) -> Callable[[Document], Iterator[Problem]]:
    """A check that reads each registry's credentials into `auths`: `USER:PASSWORD` in base64 by host. None: it reads none."""

    def check(document: Document) -> Iterator[Problem]:
        written = document.at(("spec", "registries"))
        seen: set[str] = set()
        for index, one in enumerate(written if isinstance(written, list) else ()):
            path: Path = ("spec", "registries", index)
            name, file = (
                (one.get("host"), one.get("credentialsFile")) if isinstance(one, dict) else (None, None)
            )
            if not isinstance(name, str):
                continue
            if name in seen:
                yield document.problem((*path, "host"), f'"{name}" stands twice: one entry each')
            seen.add(name)
            if isinstance(file, str) and beside is not None:
                try:
                    auths[name] = _auth_of(name, file, beside)
                except ValueError as error:
                    yield document.problem((*path, "credentialsFile"), f"{file} {error}")

    return check


def _auth_of(name: str, file: str, beside: Beside) -> str:
    """Raises ValueError that says what is wrong with the file, without a word of what is in it."""
    try:
        data = json.loads(beside(file))
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ValueError("cannot be read: it is no text in UTF-8") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} at {error.lineno}:{error.colno}") from None
    except RecursionError:
        raise ValueError("is not JSON that anybody wrote: it is nested too deeply") from None
    entries = data.get("auths") if isinstance(data, dict) else None
    if not isinstance(entries, dict):
        raise ValueError('has no "auths": it must be Docker\'s config.json, as `docker login` writes it')
    found = [entry for key, entry in entries.items() if _host_of(key) == name]
    if not found:
        raise ValueError(f'has no entry for {name} under "auths"')
    auth = _auth_in(found[0]) if isinstance(found[0], dict) else None
    if auth is None:
        raise ValueError(
            f'holds no password for {name}: write "auth", or "username" and "password"; a credential helper '
            "(credsStore) keeps it elsewhere, and the kubelet knows no identity tokens"
        )
    return auth


def _host_of(key: str) -> str:
    """The registry that an entry is of: older Dockers wrote URLs."""
    bare = re.sub(r"^https?://", "", key)
    bare = re.sub(r"(/v[12])?/?$", "", bare)
    return "docker.io" if bare == "index.docker.io" else bare


def _auth_in(entry: dict[str, object]) -> str | None:
    """`USER:PASSWORD` in base64. None where there is none, or none that can be read."""
    auth, user, password = (entry.get(key) for key in ("auth", "username", "password"))
    if isinstance(auth, str) and auth:
        try:
            before, colon, after = base64.b64decode(auth, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return None
        return auth if before and colon and after else None
    if isinstance(user, str) and isinstance(password, str) and user and password and ":" not in user:
        return base64.b64encode(f"{user}:{password}".encode()).decode()
    return None
