"""The JSON Schema of a workflow file, for editors: made of the models that validate it. Called by `glink schema`."""

from __future__ import annotations

from typing import Any

from glink.loading.vocabulary import WorkflowFile


def workflow_schema() -> dict[str, Any]:
    """The schema, JSON Schema 2020-12."""
    schema = WorkflowFile.model_json_schema(by_alias=True, mode="validation")
    for model in (schema, schema["$defs"]["StepEntry"]):
        model["patternProperties"] = {"^x-": True}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Glink workflow",
        **{key: value for key, value in schema.items() if key != "title"},
    }
