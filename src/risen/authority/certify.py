"""The certificates of a granted request, from the record and the grant alone."""

from __future__ import annotations

from risen.authority.authorities import Authorities
from risen.authority.binding import Granted
from risen.authority.certificates import Subject, issue, purposes_of
from risen.authority.grant import Grant
from risen.authority.windows import instance_window
from risen.core.step import Birth


def certify(
    authorities: Authorities, birth: Birth, subject: Subject, grant: Grant, now_unix: float
) -> Granted:
    """Certify every key of a grant. Equal input gives equal bytes."""
    window = instance_window(subject.instance, now_unix)
    certificates = tuple(
        (
            purpose.name,
            issue(
                purpose,
                subject,
                grant.public_keys[purpose.name],
                authorities.named(purpose.authority),
                window,
            ),
        )
        for purpose in purposes_of(birth.role)
        if purpose.name in grant.public_keys
    )
    return Granted(now_unix, certificates, grant.etcd)
