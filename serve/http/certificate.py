"""The certificate that a client showed in the handshake of mutual TLS, as far as it says who the client is."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

CERTIFICATE: Final = "mesh.certificate"
"""In a scope: the `PeerCertificate` of the connection, where the client had to show one."""


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """A verified certificate's subject: the common name, the organizations, and its serial number in hexadecimal digits."""

    name: str
    organizations: tuple[str, ...] = ()
    serial: str = ""


def certificate_of(transport: asyncio.BaseTransport) -> PeerCertificate | None:
    """Of a connection's client; None in the clear, and where none was asked for."""
    ssl_object = transport.get_extra_info("ssl_object")
    shown: Mapping[str, Any] | None = None if ssl_object is None else ssl_object.getpeercert()
    if not shown:
        return None
    subject = [pair for group in shown.get("subject", ()) for pair in group]
    names = [value for key, value in subject if key == "commonName"]
    organizations = tuple(value for key, value in subject if key == "organizationName")
    return PeerCertificate(names[-1] if names else "", organizations, str(shown.get("serialNumber", "")))
