"""Implements `interfaces.ports.Ports`: asks Kubernetes' own programs for their health, as a load balancer would.

kube-controller-manager and kube-scheduler say `ok` to anybody, unless told otherwise
(`--authorization-always-allow-paths`), and something else where they are not well. A kubelet wants to know who asks,
and a kube-proxy says 503 while its node is being emptied: of these any answer will do.
Source: Kubernetes, "Ports and Protocols"; k8s.io/apiserver, authorization options.
"""

from __future__ import annotations

import asyncio
import ssl
from types import MappingProxyType

import aiohttp

from risen.core.ports import Door
from risen.transport.faults import TRANSPORT_FAULTS

ASK_SECONDS = 2.0
PATH = "/healthz"
SCHEMES = MappingProxyType({"kube-proxy": "http"})
"""All others serve under a certificate of the cluster's CA."""
SAYS_HOW_IT_IS = frozenset({"kube-controller-manager", "kube-scheduler"})
OK, DENIED = 200, (401, 403)


class PortClient:
    """Under no identity. `authorities`: PEM of the cluster's CA. Connections are kept."""

    def __init__(self, authorities: bytes) -> None:
        self._authorities = authorities
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, doors: tuple[Door, ...]) -> tuple[bool, ...]:
        """See `Ports.ask`. Each is given 2 s."""
        return tuple(await asyncio.gather(*(self._answers(door) for door in doors)))

    async def close(self) -> None:
        """End all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _answers(self, door: Door) -> bool:
        url = f"{SCHEMES.get(door.program, 'https')}://{door.address}:{door.port}{PATH}"
        try:
            async with self._opened().get(url, allow_redirects=False) as answer:
                return door.program not in SAYS_HOW_IT_IS or answer.status in (OK, *DENIED)
        except TRANSPORT_FAULTS:
            return False

    def _opened(self) -> aiohttp.ClientSession:
        """Made in the loop that uses it."""
        if self._session is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=self._authorities.decode("ascii"))
            timeout = aiohttp.ClientTimeout(total=ASK_SECONDS)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context), timeout=timeout
            )
        return self._session
