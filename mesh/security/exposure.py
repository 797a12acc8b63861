"""Which ports are open to more than this machine, and whether anything guards them. Pure."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from mesh.errors import InvalidConfig


@dataclass(frozen=True, slots=True)
class Port:
    """A port that the mesh opens: what it serves, on which host, and what sets that host."""

    purpose: str
    host: str
    variable: str


@dataclass(frozen=True, slots=True)
class Guards:
    """What stands before the ports: `tokens` for every call, `certificates` of clients, or the word of whoever starts it."""

    tokens: bool
    certificates: bool
    insecure: bool


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's loopback."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)


def check_exposure(ports: Sequence[Port], guards: Guards) -> None:
    """Raises `InvalidConfig` where a port answers strangers and nothing asks who they are."""
    if guards.tokens or guards.certificates or guards.insecure:
        return
    open_ports = [port for port in ports if not is_loopback(port.host)]
    if not open_ports:
        return
    first = open_ports[0]
    named = ", ".join(dict.fromkeys(port.purpose for port in open_ports))
    raise InvalidConfig(
        "environment",
        0,
        first.variable,
        f"'{first.host}' opens {named} beyond this machine, and whoever gets there could have rows scored and read predictions, "
        "alerts and decisions without saying who they are. Ask for tokens (MESH_ACCESS=all; hyperstream token create), or for "
        "client certificates (MESH_TLS_CERT, MESH_TLS_KEY, MESH_TLS_CLIENT_CA), or listen on 127.0.0.1. Only on a network where "
        "you trust everybody: --insecure (MESH_INSECURE=1). See docs/security.md",
    )
