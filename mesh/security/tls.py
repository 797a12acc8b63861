"""TLS of the mesh's own ports and of the commands that ask them: which files, and the contexts made of them.

TLS 1.2 at least (RFC 8996 ends what is older). With `MESH_TLS_CLIENT_CA` a client without a certificate of that authority
does not get past
the handshake.
"""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mesh.errors import InvalidConfig

CERT: Final = "MESH_TLS_CERT"
KEY: Final = "MESH_TLS_KEY"
CLIENT_CA: Final = "MESH_TLS_CLIENT_CA"
TRUST: Final = "MESH_TLS_CA"
CLIENT_CERT: Final = "MESH_TLS_CLIENT_CERT"
CLIENT_KEY: Final = "MESH_TLS_CLIENT_KEY"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a server. `client_ca` holds the authorities whose client certificates are taken; None asks for none."""

    certificate: str
    key: str
    client_ca: str | None = None

    @property
    def mutual(self) -> bool:
        """Whether clients must show a certificate."""
        return self.client_ca is not None


def tls_files(environ: Mapping[str, str]) -> TlsFiles | None:
    """What `MESH_TLS_*` names; None without TLS. Raises `InvalidConfig` for half of it."""
    certificate, key = _path(environ, CERT), _path(environ, KEY)
    client_ca = _path(environ, CLIENT_CA)
    if certificate is None and key is None:
        if client_ca is not None:
            raise InvalidConfig(
                "environment", 0, CLIENT_CA, f"needs a server's certificate: set {CERT} and {KEY}"
            )
        return None
    if certificate is None or key is None:
        missing, there = (CERT, KEY) if certificate is None else (KEY, CERT)
        raise InvalidConfig("environment", 0, missing, f"is unset, and {there} is set: TLS needs both")
    return TlsFiles(certificate, key, client_ca)


def server_context(files: TlsFiles) -> ssl.SSLContext:
    """For listeners that speak HTTP/1.1. Raises `InvalidConfig` naming the file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load_pair(context, files.certificate, files.key, CERT)
    if files.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        _trust(context, files.client_ca, CLIENT_CA)
    return context


def client_context(environ: Mapping[str, str]) -> ssl.SSLContext:
    """For commands: trusts `MESH_TLS_CA` (else the system's authorities), shows `MESH_TLS_CLIENT_CERT` where it is set.

    Raises `InvalidConfig` naming the file that cannot be used.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    trusted, certificate = _path(environ, TRUST), _path(environ, CLIENT_CERT)
    if trusted is not None:
        _trust(context, trusted, TRUST)
    if certificate is not None:
        _load_pair(context, certificate, _path(environ, CLIENT_KEY) or certificate, CLIENT_CERT)
    return context


def read_pem(path: str, variable: str) -> bytes:
    """A PEM file's bytes. Raises `InvalidConfig` where it cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InvalidConfig("environment", 0, variable, f"{path} cannot be read: {error.strerror}") from None


def _load_pair(context: ssl.SSLContext, certificate: str, key: str, variable: str) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise InvalidConfig(
            "environment",
            0,
            variable,
            f"{certificate} and {key} are no certificate and its key in PEM: {reason}",
        ) from None


def _no_password() -> str:
    """OpenSSL would ask the terminal, and wait."""
    return ""


def _trust(context: ssl.SSLContext, path: str, variable: str) -> None:
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidConfig(
            "environment", 0, variable, f"{path} holds no certificates in PEM: {reason}"
        ) from None


def _path(environ: Mapping[str, str], name: str) -> str | None:
    return environ.get(name, "").strip() or None
