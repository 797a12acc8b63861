"""API tokens: how one looks, and what of it is kept. Pure, but for the randomness of a new one.

A token is `hsm_ID_SECRET`: 12 hexadecimal digits that name it and 43 characters that prove it. Kept is SHA-256 of the secret.
A slow hash, as passwords need, would gain nothing: the secret has 256 random bits, so there is no list of likely ones to try.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, replace
from typing import Final

from mesh.errors import InvalidInput, Unauthenticated
from mesh.records.roles import ROLES, Role
from mesh.records.times import LAST_MS

_FORM: Final = re.compile(r"hsm_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_NOBODY: Final = "0" * 64

ASK: Final = "ask an admin for one (hyperstream token create NAME --role ROLE)"


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token. Times are milliseconds since 1970; `expires_at` is excluded."""

    id: str
    actor: str
    role: Role
    hashed: str
    created_at: int
    created_by: str
    expires_at: int | None = None
    revoked_at: int | None = None

    def state(self, now: int) -> str:
        """`valid`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and now >= self.expires_at else "valid"


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token and its text, which is shown once and kept nowhere."""

    token: Token
    text: str


def mint(actor: str, role: Role, created_by: str, now: int, expires_at: int | None = None) -> Minted:
    """A new token. Raises `InvalidInput` for a name or a time that cannot be."""
    if not _NAME.fullmatch(actor):
        raise InvalidInput(
            "name", "must begin with a letter or digit and hold up to 64 of letters, digits, . _ @ -"
        )
    if role not in ROLES:
        raise InvalidInput("role", f"'{role}' is not one of {', '.join(ROLES)}")
    if expires_at is not None and expires_at <= now:
        raise InvalidInput("expires", "is in the past")
    if expires_at is not None and expires_at > LAST_MS:
        raise InvalidInput("expires", "is past the year 9999; leave it out for a token that never expires")
    identifier, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    token = Token(identifier, actor, role, hashed(secret), now, created_by, expires_at)
    return Minted(token, f"hsm_{identifier}_{secret}")


def revoked(token: Token, now: int) -> Token:
    """`token` as it is from `now` on."""
    return token if token.revoked_at is not None else replace(token, revoked_at=now)


def parts(text: str) -> tuple[str, str]:
    """The id and the secret of a token's text. Raises `Unauthenticated` for a text that is no token."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise Unauthenticated(f"that is no token of this mesh (they begin with hsm_); {ASK}")
    return found[1], found[2]


def hashed(secret: str) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def check(secret: str, token: Token | None, now: int) -> Token:
    """`token`, where `secret` proves it and it is valid. Takes as long for a token that is not there.

    Raises `Unauthenticated`, with the same words for an unknown token and a wrong secret.
    """
    proven = hmac.compare_digest(hashed(secret), _NOBODY if token is None else token.hashed)
    if token is None or not proven:
        raise Unauthenticated(f"the token is not known here; {ASK}")
    state = token.state(now)
    if state != "valid":
        raise Unauthenticated(f"the token {token.id} of '{token.actor}' is {state}; {ASK}")
    return token
