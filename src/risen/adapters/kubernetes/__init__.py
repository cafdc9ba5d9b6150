"""The Kubernetes API: reads from a cache kept by list and watch, writes one request each."""

from risen.adapters.kubernetes.client import KubernetesClient

__all__ = ["KubernetesClient"]
