"""TLS on Ray Serve's own HTTP port, which Ray reads from the Serve config. Pure.

Ray's HAProxy speaks no TLS to clients, and no port of Serve's speaks gRPC over TLS: where Serve's port leaves the loopback
with a certificate,
Serve's Python proxy takes over HTTP, and gRPC through Serve ends. The mesh's own gRPC port speaks TLS and stays.
"""

from collections.abc import Mapping
from typing import Any, Final

from mesh.security.exposure import is_loopback
from mesh.security.tls import TlsFiles

HA_PROXY: Final = "RAY_SERVE_ENABLE_HA_PROXY"
_SERVE_HOST: Final = "127.0.0.1"


def serve_host_of(document: Mapping[str, Any]) -> str:
    """The host of `http_options`; Ray's default where it is not said."""
    options = document.get("http_options")
    return str(options.get("host") or _SERVE_HOST) if isinstance(options, dict) else _SERVE_HOST


def with_tls(
    document: Mapping[str, Any], tls: TlsFiles | None
) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """The Serve config with the certificate, and the variables that Ray then needs; both unchanged and empty on the loopback."""
    if tls is None or is_loopback(serve_host_of(document)):
        return document, {}
    options = {**document["http_options"], "ssl_certfile": tls.certificate, "ssl_keyfile": tls.key}
    kept = {key: value for key, value in document.items() if key != "grpc_options"}
    return {**kept, "http_options": options}, {HA_PROXY: "0"}
