"""Whether a browser sits at this machine: only then may the console act without a token. Pure."""

import ipaddress
from collections.abc import Mapping
from typing import Final

_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def is_loopback(host: str) -> bool:
    """A name or an address that reaches this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def at_this_machine(bound_to: str, headers: Mapping[str, str]) -> bool:
    """The port is the machine's own, the `Host` asked for is one of its names, and no proxy passed the request on.

    `headers` have lower-case names. Without the look at `Host`, a page elsewhere could rebind a name of its own to this port.
    """
    host = headers.get("host", "")
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    return is_loopback(bound_to) and is_loopback(name) and not any(one in headers for one in _FORWARDED)
