"""From files to a workflow or a configuration: bytes, YAML events with positions, strict models, one canonical form."""
