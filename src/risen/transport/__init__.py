"""HTTP over mutual TLS for the adapters above: one session per identity, time-outs, one table of faults.

It knows nothing of what is asked: no Kubernetes, no etcd, no JSON.
"""
