"""`glink schema`."""

from __future__ import annotations

from glink.cli.shell import JsonOption
from glink.cli.speech import show


def command(json: JsonOption = True) -> None:
    """Print the JSON Schema of a workflow file, for editors.

    Example: glink schema > projects/workflow.schema.json
    """
    from glink.loading.schema import workflow_schema

    show(workflow_schema())
