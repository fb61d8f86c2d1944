"""The bytes of `glink-config.yaml`, if nobody else could have written them.

Called by `glink.config`, and by whoever only asks whether the file is still what it was.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from glink.limits import Limits
from glink.loading.folder import Folder, UnreadableError

FILE_NAME: Final = "glink-config.yaml"
_LIMITS: Final = Limits()


def config_text(file: Path, projects: Path) -> bytes:
    """The file's content; raises UnreadableError. It must not lie below `projects`, where workflows come from."""
    try:
        path = file.resolve(strict=True)
        found = path.stat()
        below = path.is_relative_to(projects.resolve())
    except (OSError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise UnreadableError(f"cannot be read: {reason or 'its links lead in a circle'}", "check the path") from None
    if stat.S_ISREG(found.st_mode) and found.st_mode & stat.S_IWOTH:
        raise UnreadableError("can be written by everybody", "chmod o-w the file")
    if found.st_uid not in (0, os.geteuid()):
        raise UnreadableError("belongs to somebody else", "make it your own, it says what is run on this machine")
    if below:
        raise UnreadableError("lies below projects/, where workflows come from", "move it out of there")
    return Folder(path.parent).read(path.name, _LIMITS.file_bytes)
