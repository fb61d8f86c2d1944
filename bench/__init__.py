"""What `docs/performance.md` names, runnable by anyone: `python -m bench`."""
