"""Glink: GitOps for agent teams."""

__version__ = "0.1.0"
