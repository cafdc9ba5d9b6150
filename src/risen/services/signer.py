"""Signs Kubernetes' CertificateSigningRequests, so that no instance needs the cluster authority's key.

Level-triggered: each round looks at what is pending and settles it. What may be signed is decided in
`authority.signing`.
"""

from __future__ import annotations

from dataclasses import dataclass

from risen.authority.authorities import Authority
from risen.authority.signing import NotOurs, Refused, Signed, decide_signing, sign_request
from risen.core.signing import SigningRequest
from risen.interfaces.clock import Clock
from risen.interfaces.errors import InterfaceError
from risen.interfaces.signing import SigningRequests
from risen.services.join_facts import Note

ROUND_SECONDS = 2.0


@dataclass(slots=True)
class Signer:
    """`authority` is the cluster's. `run` goes on until it is cancelled."""

    requests: SigningRequests
    authority: Authority
    clock: Clock
    note: Note
    _trouble: str = ""

    async def run(self) -> None:
        """Rounds for ever; an API that does not answer is tried again, and noted once."""
        while True:
            try:
                await self.settle_all()
                self._trouble = ""
            except InterfaceError as error:
                self._say_once(f"{type(error).__name__}: {error}")
            await self.clock.sleep(ROUND_SECONDS)

    async def settle_all(self) -> None:
        """One round. One request that cannot be written does not hold up the others. Raises InterfaceError."""
        for request in await self.requests.pending():
            try:
                await self._settle(request)
            except InterfaceError as error:
                self.note(f"signing request {request.name}: {type(error).__name__}: {error}")

    async def _settle(self, request: SigningRequest) -> None:
        match decide_signing(request):
            case Signed() as signed:
                certificate = sign_request(signed, self.authority, self.clock.unix())
                await self.requests.sign(request.name, request.uid, certificate)
                self.note(f"signing request {request.name}: signed for {signed.common_name}")
            case Refused(message=message):
                await self.requests.fail(request.name, request.uid, message)
                self.note(f"signing request {request.name}: refused: {message}")
            case NotOurs():
                return

    def _say_once(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._trouble = trouble
            self.note(f"signing requests cannot be read: {trouble}")
