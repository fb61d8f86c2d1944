"""What Glink shows over HTTP and in files: the status page."""
