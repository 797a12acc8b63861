"""Whether a request comes from this machine, and whether a page of another site sent it. Pure.

A browser on this machine reaches the loopback for any page that it shows. Three checks keep pages out: a foreign `Origin` or
`Sec-Fetch-Site` (cross-site request forgery, https://cheatsheetseries.owasp.org/cheatsheets/Cross-Site_Request_Forgery_Prevention_Cheat_Sheet.html),
a `Host` that is no name of the loopback (DNS rebinding), and that bodies must call themselves JSON, which a form cannot.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from mesh.security.exposure import is_loopback

_FORWARDED: Final = (b"forwarded", b"x-forwarded-for", b"x-real-ip")
_OWN_SITE: Final = (b"same-origin", b"none")


def from_this_machine(peer: str | None, headers: Mapping[bytes, bytes], listener_local: bool) -> bool:
    """True where the port, the peer and the name asked for are all the loopback's, and no proxy passed the request on."""
    if not listener_local or peer is None or not is_loopback(peer):
        return False
    if any(name in headers for name in _FORWARDED):
        return False
    host = headers.get(b"host")
    return host is None or is_loopback(_name(host.decode("latin-1")))


def crossed(headers: Mapping[bytes, bytes]) -> bool:
    """True where a browser says that a page of another origin asks."""
    site = headers.get(b"sec-fetch-site")
    if site is not None and site not in _OWN_SITE:
        return True
    origin = headers.get(b"origin")
    return origin is not None and _authority(origin) != headers.get(b"host", b"").lower()


def _authority(origin: bytes) -> bytes:
    try:
        return urlsplit(origin.lower()).netloc
    except ValueError:
        return b""


def _name(host: str) -> str:
    """A `Host` without its port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0].lower()
