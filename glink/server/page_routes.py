"""The status page, served: overview, projects, and the files beside them. Called by `app`."""

from __future__ import annotations

from collections.abc import Sequence

from glink.pages.files import PageFiles
from glink.pages.html import asset
from glink.permit import Scope
from glink.server.problem import HttpProblem
from glink.server.route import Call, Reply, Route

_HTML = {200: ("text/html",)}


def page_routes(pages: PageFiles) -> Sequence[Route]:
    """Pages ask for a login, the files beside them do not: they are the same for everybody."""

    def overview(call: Call) -> Reply:
        call.who.must_have_all()
        return Reply.html(pages.overview_served())

    def project(call: Call) -> Reply:
        page = pages.project_served(str(call.project))
        if page is None:
            raise HttpProblem(404, f"no project {call.project}")
        return Reply.html(page)

    def packaged(call: Call) -> Reply:
        found = asset(call.path["name"])
        if found is None:
            raise HttpProblem(404, "there is no such file")
        return Reply(found[0], content_type=found[1])

    return [
        Route("GET", "/", Scope.READ, overview, "the status page", replies=_HTML, page=True),
        Route("GET", "/project/{project}", Scope.READ, project, "the page of a project", replies=_HTML, page=True),
        Route("GET", "/assets/{name}", Scope.OPEN, packaged, "a file of the pages", replies={200: ("text/css",)}),
    ]
