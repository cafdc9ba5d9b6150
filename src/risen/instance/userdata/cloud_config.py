"""User data as cloud-config: who an instance is and where it joins, never a long-lived secret.

Written as JSON, which cloud-init reads as the YAML 1.1 it is. Reads nothing.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

from risen.core.names import ClusterUid, InstanceName, PoolName
from risen.instance import layout

LIMIT_BYTES = 16_384
"""AWS' limit, the smallest of the clouds'."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


class UserDataRefused(ValueError):
    """A value that cannot be user data: too long, or of a form that the join script would not take."""


@dataclass(frozen=True, slots=True)
class UserData:
    """`authority_digests` are hex SHA-256 of the join authority's PEM, more than one while it is exchanged."""

    instance: InstanceName
    pool: PoolName
    cluster: ClusterUid
    join_url: str
    authority_digests: tuple[str, ...]
    ticket: str = field(repr=False)


def render_cloud_config(data: UserData) -> bytes:
    """cloud-config that writes /etc/risen/identity (mode 0600) and the host name. Raises UserDataRefused."""
    if not data.join_url.startswith("https://"):
        raise UserDataRefused(f"join address {data.join_url!r}: must begin with https://")
    digests = tuple(digest.removeprefix("sha256:") for digest in data.authority_digests)
    if not digests or not all(_DIGEST.fullmatch(digest) for digest in digests):
        raise UserDataRefused("authority digests: one SHA-256 in hex or more are needed")
    identity = {
        "INSTANCE": data.instance,
        "POOL": data.pool,
        "CLUSTER": data.cluster,
        "JOIN_URL": data.join_url.rstrip("/"),
        "AUTHORITY": ",".join(digests),
        "TICKET": data.ticket,
    }
    for name, value in identity.items():
        if not value or any(character.isspace() or not character.isprintable() for character in value):
            raise UserDataRefused(f"{name} is empty or holds a space or a line break")
    config = {
        "hostname": data.instance,
        "write_files": [
            {
                "path": layout.IDENTITY,
                "permissions": "0600",
                "owner": "root:root",
                "content": "".join(f"{name}={value}\n" for name, value in identity.items()),
            }
        ],
    }
    rendered = b"#cloud-config\n" + json.dumps(config, indent=1).encode() + b"\n"
    if len(rendered) > LIMIT_BYTES:
        raise UserDataRefused(f"user data is {len(rendered)} bytes; the smallest limit is {LIMIT_BYTES}")
    return rendered


def render_meta_data(instance: InstanceName) -> bytes:
    """NoCloud's `meta-data`. The instance id is the name, which is never reused."""
    return json.dumps({"instance-id": instance, "local-hostname": instance}).encode() + b"\n"
