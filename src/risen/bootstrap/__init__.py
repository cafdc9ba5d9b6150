"""Where adapters are chosen for interfaces: the only package that names both. Decides nothing about clusters.

What is heavy to import is imported where it is used, so that a command waits only for what it needs.
"""

from __future__ import annotations

from risen.bootstrap.bakes import (
    Recipe,
    bake_request,
    images_of,
    kubectl_of,
    lock_files,
    lock_recipe,
)
from risen.bootstrap.clients import (
    Clients,
    Sights,
    connect,
    engine_world,
    identity_of,
    look_at,
    serve_joins,
)
from risen.bootstrap.place import (
    CLOCK,
    ENTROPY,
    Cluster,
    Host,
    create_cluster,
    examine_host,
    heartbeat_of,
    leadership_of,
    local_settings,
    open_authorities,
    open_cluster,
    own_credentials,
    store_trouble,
)
from risen.bootstrap.site import (
    bound_controller_log,
    destroy_all,
    local_site,
    lost_site,
    mend_site,
    rose_on_host,
    site_on_host,
    start_all,
    stop_all,
)

__all__ = [
    "CLOCK",
    "ENTROPY",
    "Clients",
    "Cluster",
    "Host",
    "Recipe",
    "Sights",
    "bake_request",
    "bound_controller_log",
    "connect",
    "create_cluster",
    "destroy_all",
    "engine_world",
    "examine_host",
    "heartbeat_of",
    "identity_of",
    "images_of",
    "kubectl_of",
    "leadership_of",
    "local_settings",
    "local_site",
    "lock_files",
    "lock_recipe",
    "look_at",
    "lost_site",
    "mend_site",
    "open_authorities",
    "open_cluster",
    "own_credentials",
    "rose_on_host",
    "serve_joins",
    "site_on_host",
    "start_all",
    "stop_all",
    "store_trouble",
]
