"""Where pages and their files lie, seen from one of them: served below `/`, or as files beside each other.

Every link is relative, so pages work below any path of a web server and from `file://`. The only maker of addresses
for the templates. Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from glink import digest

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*")
ASSETS = "assets"
HOME_FILE = "index.html"


@dataclass(frozen=True, slots=True)
class Links:
    """Links of one page. `up` leads from the page to the site's root; `served` tells addresses from files."""

    up: str = ""
    served: bool = False

    @classmethod
    def of_overview(cls, *, served: bool) -> Links:
        return cls("", served)

    @classmethod
    def of_project(cls, project: str, *, served: bool) -> Links:
        return cls("../" * (1 + project.count("/") if served else 1), served)

    @property
    def home(self) -> str:
        return (self.up or "./") if self.served else f"{self.up}{HOME_FILE}"

    @property
    def events(self) -> str:
        """The stream of events; nothing for files, which have none."""
        return f"{self.up}events" if self.served else ""

    def asset(self, name: str) -> str:
        return f"{self.up}{ASSETS}/{name}"

    def project(self, project: str) -> str:
        return f"{self.up}project/{quote(project)}" if self.served else f"{self.up}{file_of(project)}"


def file_of(project: str) -> str:
    """The file of a project's page, relative to the site's folder: one flat folder, whatever the name.

    A name that is not fit for a project (its file is refused, and that is to be shown) gets a digest.
    """
    if _PLAIN.fullmatch(project) and ".." not in project and len(project) <= 200:
        return f"project/{project.replace('/', '~')}.html"
    return f"project/~{digest.of_text(project)[:16]}.html"
