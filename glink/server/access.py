"""Which tokens there are, and whether this server may be started as it is configured.

Called once at the start by the composition root, and by verbs that need the token that was made.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from secrets import token_urlsafe
from typing import Final

from glink.bus.fsio import Disk, discard, disk_errors, read_file, write_new
from glink.config import Config
from glink.errors import UsageError
from glink.server.auth import Tokens
from glink.server.guard import Guard, is_loopback

_MADE: Final = re.compile(rb"[A-Za-z0-9_-]{43}\n")
TOKEN_FILE: Final = "token"  # noqa: S105 - its name
WARNING: Final = "whoever can reach this port may do everything: `server.auth` is none"


def guard_of(config: Config) -> Guard:
    """The hosts that the server answers to."""
    return Guard.of(config.host, config.hosts)


def tokens_of(config: Config, made: Path) -> Tokens:
    """Every token; the one for everything is the operator's own, else the one in the file `made`.

    Raises UsageError when the server would be open to others without a token of the operator's own or without TLS.
    """
    outside = not is_loopback(config.host)
    if outside and config.auth == "none":
        raise UsageError(f"{_reached(config)}: `server.auth: none` is for 127.0.0.1 alone")
    if outside and config.api_token is None and not config.tokens:
        raise UsageError(
            f"{_reached(config)} and has no token of your own: set GLINK_API_TOKEN or GLINK_API_TOKEN_FILE, or write `tokens:`"
        )
    if outside and not config.behind_proxy:
        raise UsageError(
            f"{_reached(config)} and has no TLS: put a proxy that has it in front and write `server.behind_proxy: true`, "
            "or listen at 127.0.0.1"
        )
    if config.auth == "none":
        return Tokens.of(config.tokens, config.api_token, open_to_all=True)
    return Tokens.of(config.tokens, config.api_token or token_in(made))


def token_in(path: Path, disk: Disk | None = None) -> str:
    """The token in a file, made with it where there is none; two who make it at once get the same.

    Raises UsageError for a file that others could have read or written, or that holds anything else.
    """
    disk = disk or Disk()
    with disk_errors(f"the token {path} cannot be read or made"):
        if not disk.exists(path):
            _make(disk, path)
        about = disk.stat(path)
        if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077 or about.st_uid != os.geteuid():
            raise UsageError(f"{path} must be a file of yours that nobody else can read: chmod 600 it, or delete it")
        found = read_file(disk, path) or b""
    if not _MADE.fullmatch(found):
        raise UsageError(f"{path} holds no token that Glink made: delete it, and a new one is made")
    return found.strip().decode()


def _make(disk: Disk, path: Path) -> None:
    fresh = path.with_name(f"{path.name}.{disk.entropy(4).hex()}.tmp")
    write_new(disk, fresh, f"{token_urlsafe(32)}\n".encode())
    try:
        disk.link(fresh, path)
    except FileExistsError:
        pass  # somebody was faster: theirs is the token
    finally:
        discard(disk, fresh)
    disk.fsync_dir(path.parent)


def _reached(config: Config) -> str:
    return f"a server at {config.host} can be reached from other machines"
