"""The status page: models from reports and records, pictures, HTML, files."""
