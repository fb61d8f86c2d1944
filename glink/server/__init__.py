"""The HTTP side: everything between a socket and a handler, knowing nothing of what handlers do."""
