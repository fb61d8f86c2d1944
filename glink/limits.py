"""Every named limit. `limits:` of the configuration may override each by its name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are bytes, times seconds."""

    # workflow files
    steps: int = 1_000
    file_bytes: int = 1 << 20
    project_bytes: int = 4 << 20
    inputs_bytes: int = 256 << 20
    inputs_files: int = 10_000
    input_patterns: int = 100
    project_files: int = 20_000
    yaml_depth: int = 32
    yaml_nodes: int = 200_000
    problems: int = 100
    name_parts: int = 4
    name_characters: int = 128
    # templates
    template_characters: int = 256 << 10
    template_depth: int = 64
    template_tokens: int = 20_000
    template_includes: int = 200
    render_steps: int = 100_000
    render_characters: int = 1 << 20
    context_characters: int = 32 << 20
    # the bus
    record_bytes: int = 64 << 10
    inline_bytes: int = 16 << 10
    batch_bytes: int = 4 << 20
    segment_bytes: int = 16 << 20
    json_depth: int = 32
    checkpoint_events: int = 20_000
    answers: int = 100
    notes: int = 100
    # agents
    output_bytes: int = 8 << 20
    stderr_bytes: int = 1 << 20
    artifact_bytes: int = 256 << 20
    artifact_files: int = 1_000
    message_bytes: int = 2 << 10
    kill_after: float = 5.0
    look: float = 0.1
    # the engine
    concurrency: int = 64
    queued_runs: int = 100
    inbox: int = 100_000
    grace: float = 10.0
    rescan: float = 30.0
    quiet: float = 0.1
    git_lock: float = 10.0
    absent: float = 2.0
    storm: float = 2.0
    storm_events: int = 50
    git_command: float = 10.0
    # the status page
    page_seconds: float = 5.0
    page_records: int = 20_000
    page_layout: float = 20.0
    page_batches: int = 10_000
    page_runs: int = 20
    page_events: int = 30
    page_attempts: int = 2_000
    page_prompts: int = 200
    page_characters: int = 2_000
    page_cards: int = 20
