"""Risen: Kubernetes nodes that rise from the dead."""

__version__ = "0.1.0"
