"""Who a client's certificate names. Pure.

The common name is the actor's name, and an organization `mesh:ROLE` its role: the convention of Kubernetes, whose users and
groups these fields are
(https://kubernetes.io/docs/reference/access-authn-authz/authentication/#x509-client-certificates). Without one the role is
viewer.
"""

import re
from typing import Final

from mesh.errors import Unauthenticated
from mesh.records.entry import Actor
from mesh.records.roles import ALIASES, ROLES, Role, role_named
from serve.http.certificate import PeerCertificate

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_GROUP: Final = "mesh:"


def actor_of(certificate: PeerCertificate) -> Actor:
    """Raises `Unauthenticated` for a name or a role that cannot be: it would be an actor of the audit log."""
    if not _NAME.fullmatch(certificate.name):
        raise Unauthenticated(
            "the certificate's common name must begin with a letter or digit and hold up to 64 of letters, digits, . _ @ -"
        )
    words = [group.removeprefix(_GROUP) for group in certificate.organizations if group.startswith(_GROUP)]
    return Actor(
        certificate.name,
        max(map(_role, words), key=ROLES.index, default="viewer"),
        f"certificate:{certificate.serial}",
    )


def _role(word: str) -> Role:
    role = role_named(word)
    if role is None:
        known = ", ".join((*ROLES, *ALIASES))
        raise Unauthenticated(
            f"the certificate's organization mesh:{word[:40]} names no role; there are: {known}"
        )
    return role
