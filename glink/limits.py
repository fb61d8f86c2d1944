"""Every named limit. `limits:` of the configuration may override each by its name."""

from __future__ import annotations

from typing import NamedTuple


class Limits(NamedTuple):
    """Sizes are bytes, times seconds. A tuple: a dataclass with so many fields takes 5 ms to be made at each start."""

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
    checkpoint_quiet: float = 5.0
    reserve_bytes: int = 16 << 20
    reader_pin: float = 600.0
    blob_grace: float = 3_600.0
    attempts_ok: float = 86_400.0
    attempts_failed: float = 7 * 86_400.0
    attempts_bytes: int = 10 << 30
    tidy: float = 3_600.0
    # agents
    output_bytes: int = 8 << 20
    stderr_bytes: int = 1 << 20
    artifact_bytes: int = 256 << 20
    artifact_files: int = 1_000
    message_bytes: int = 2 << 10
    kill_after: float = 5.0
    look: float = 0.1
    request_bytes: int = 64 << 20
    connect: float = 10.0
    poll: float = 2.0
    poll_answer: float = 60.0
    # reporters
    report_queue: int = 10_000
    report_group: int = 100
    report_characters: int = 4_000
    report_reply_bytes: int = 64 << 10
    report_seconds: float = 5.0
    report_tries: int = 3
    report_pause: float = 1.0
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
    # the API
    body_bytes: int = 1 << 20
    header_bytes: int = 16 << 10
    requests_per_second: int = 5_000
    login_failures: int = 5
    sessions: int = 1_000
    session_seconds: float = 43_200.0
    connections: int = 500
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = 60.0
    streams: int = 1_000
    stream_bytes: int = 128 << 10
    stream_wake: float = 0.1
    stream_comment: float = 15.0
    stream_stall: float = 30.0
    feed_bytes: int = 4 << 20
    feed_batches: int = 10_000
    idempotency_keys: int = 10_000
    idempotency_seconds: float = 86_400.0
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
