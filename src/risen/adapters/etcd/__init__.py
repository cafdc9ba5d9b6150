"""etcd through its JSON gateway over mutual TLS."""

from risen.adapters.etcd.client import EtcdClient

__all__ = ["EtcdClient"]
