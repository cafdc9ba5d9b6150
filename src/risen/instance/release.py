"""A release as a value: every file of an instance with marks for what is the instance's own, and filling them in.

A mark is `@{risen.WHAT}`. No renderer changes its characters: JSON writes them as they are, a flag has them on
one line. What is filled in is written as the renderer of that file would have written it. Renders nothing itself.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from risen.core.names import ImageDigest, ReleaseId, Role
from risen.instance.settings import AnswerFile, Form, one_line

MARK = "@{risen."
"""How every mark begins: text of a user's that holds it is refused."""
_MARKS = re.compile(r"@\{risen\.([a-z0-9.:-]+)\}")


@dataclass(frozen=True, slots=True, order=True)
class ReleaseFile:
    """A file with its marks: absolute path, permission bits, and how values are written into it."""

    path: str
    text: str = field(repr=False)
    mode: int = 0o644
    form: Form = Form.TEXT


@dataclass(frozen=True, slots=True)
class Release:
    """The object `releases/ID`: all that an instance gets, whichever Risen rendered it.

    `components` and `packages` (name, version) say what the image holds, for people; the image's digest, not
    they, is in the id. They are empty where the image was baked without telling.
    """

    id: ReleaseId
    role: Role
    image: ImageDigest
    kubernetes: str
    files: tuple[ReleaseFile, ...]
    api_names: tuple[str, ...] = ()
    """What certificates of the API server name, besides the endpoint and the instance; empty on workers."""
    components: tuple[tuple[str, str], ...] = ()
    packages: tuple[tuple[str, str], ...] = ()

    @property
    def purposes(self) -> tuple[str, ...]:
        """Certificates that an instance of this release asks for, sorted."""
        return self._marked("certificate.")

    @property
    def registries(self) -> tuple[str, ...]:
        """Image registries that an instance of this release needs credentials for, sorted."""
        return self._marked("registry.")

    def _marked(self, prefix: str) -> tuple[str, ...]:
        return tuple(sorted(one.removeprefix(prefix) for one in marks_of(self) if one.startswith(prefix)))


def mark(what: str) -> str:
    """The mark that `fill` puts the value of `what` in the place of."""
    return f"{MARK}{what}}}"


def release_id(image: ImageDigest, files: tuple[ReleaseFile, ...], api_names: tuple[str, ...]) -> ReleaseId:
    """`r-` and 12 hex digits over the image, every file's path, mode and text, and the names, in any order."""
    value = sorted((file.path, file.mode, hashlib.sha256(file.text.encode()).hexdigest()) for file in files)
    parts = {"image": image, "files": value, "names": sorted(api_names)}
    text = json.dumps(parts, separators=(",", ":"), sort_keys=True)
    return ReleaseId(f"r-{hashlib.sha256(text.encode()).hexdigest()[:12]}")


def fill(release: Release, own: Mapping[str, str]) -> tuple[AnswerFile, ...]:
    """The files of one instance, sorted by path. A mark in a value stays: it is no mark.

    Raises ValueError for a mark that `own` has no value for, and for a line break that would become a flag.
    """
    return tuple(_filled(release.id, file, own) for file in sorted(release.files))


def marks_of(release: Release) -> frozenset[str]:
    """Everything that an instance of this release needs a value for."""
    return frozenset(what for file in release.files for what in _MARKS.findall(file.text))


def _filled(release: ReleaseId, file: ReleaseFile, own: Mapping[str, str]) -> AnswerFile:
    def value(found: re.Match[str]) -> str:
        what = found.group(1)
        if what not in own:
            raise ValueError(f"{file.path} of release {release} needs {what}, which an instance is not given")
        return _written(own[what], file.form, what)

    return AnswerFile(file.path, _MARKS.sub(value, file.text).encode(), file.mode, file.form)


def _written(value: str, form: Form, what: str) -> str:
    """A value as the renderer of such a file writes it inside a string."""
    match form:
        case Form.JSON:
            return json.dumps(value)[1:-1]
        case Form.FLAGS:
            return one_line(value, what)
        case Form.TEXT:
            return value
