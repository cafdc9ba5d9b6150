"""What a cluster and its pools may be called. Imports next to nothing, so that every command can ask."""

from __future__ import annotations

import re

MAX_NAME = 20
"""An instance's name is POOL-xxxxx, a network namespace risen-CLUSTER; both leave room for more."""
_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")


def name(value: str) -> str:
    """A DNS label that fits into instance and network names; ValueError says what is wrong with any other. It is
    also the name of a folder and nothing more of a path. Source: RFC 1035, section 2.3.1."""
    if not _LABEL.fullmatch(value):
        raise ValueError(
            f'"{value}" is no DNS label: lower-case letters, digits and "-", first a letter, no "-" at the end'
        )
    if len(value) > MAX_NAME:
        raise ValueError(f'"{value}" has {len(value)} characters, at most {MAX_NAME} fit')
    return value
