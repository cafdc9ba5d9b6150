"""What container images are in an archive of the user's. Imports nothing and changes nothing."""

from __future__ import annotations

import tarfile
from pathlib import Path

from risen.bakery.image_names import INDEXES, NotImportable, image_names
from risen.interfaces.errors import Invalid


def archived_names(path: Path) -> tuple[str, ...]:
    """Full names of an archive's images, sorted.

    Raises Invalid for what containerd could not import (it takes no compressed archive), or only under a name
    that no pod can ask for: better now than in an instance."""
    members = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                file = tar.extractfile(member) if member.name.removeprefix("./") in INDEXES else None
                if file is not None:
                    members[member.name.removeprefix("./")] = file.read()
        return image_names(members)
    except (tarfile.TarError, EOFError) as error:
        raise Invalid(
            f"{path} is not a tar archive ({error}): write it with `docker save`, not compressed"
        ) from None
    except NotImportable as error:
        raise Invalid(f"{path} {error}") from None
