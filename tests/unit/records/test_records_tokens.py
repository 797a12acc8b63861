"""How tokens look, what is kept of them, and when they are taken."""

import hashlib
import re

import pytest

from mesh.errors import Forbidden, InvalidInput, Unauthenticated
from mesh.records.roles import ROLES, includes, require
from mesh.records.tokens import check, mint, parts, revoked

NOW = 1_764_000_000_000


def test_a_token_is_random_and_only_its_hash_is_kept():
    one, other = mint("ann", "analyst", "root", NOW), mint("ann", "analyst", "root", NOW)
    assert re.fullmatch(r"hsm_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", one.text)
    assert one.text != other.text
    identifier, secret = parts(one.text)
    assert (identifier, hashlib.sha256(secret.encode()).hexdigest()) == (one.token.id, one.token.hashed)
    assert secret not in repr(one.token)


def test_its_secret_proves_it():
    minted = mint("ann", "analyst", "root", NOW)
    _, secret = parts(minted.text)
    assert check(secret, minted.token, NOW) == minted.token
    for token, said in ((minted.token, "x" * 43), (None, secret)):
        with pytest.raises(Unauthenticated, match="the token is not known here"):
            check(said, token, NOW)


def test_it_ends_by_time_or_by_an_admin():
    minted = mint("ann", "analyst", "root", NOW, NOW + 1_000)
    _, secret = parts(minted.text)
    check(secret, minted.token, NOW + 999)
    with pytest.raises(Unauthenticated, match=r"of 'ann' is expired; ask an admin"):
        check(secret, minted.token, NOW + 1_000)
    with pytest.raises(Unauthenticated, match=r"of 'ann' is revoked"):
        check(secret, revoked(minted.token, NOW), NOW)


@pytest.mark.parametrize("text", ["", "hsm_", "hsm_0123456789ab", "x" * 60, f"hsm_0123456789ab_{'x' * 42}"])
def test_a_text_that_is_no_token_is_refused_before_any_look_up(text):
    with pytest.raises(Unauthenticated, match="no token of this mesh"):
        parts(text)


@pytest.mark.parametrize(
    ("name", "role", "expires", "field"),
    [("", "viewer", None, "name"), ("a b", "viewer", None, "name"), ("-a", "viewer", None, "name"),
     ("a" * 65, "viewer", None, "name"), ("ann", "root", None, "role"), ("ann", "viewer", NOW, "expires"),
     ("ann", "viewer", NOW + 9_999_999 * 86_400_000, "expires")],
)  # fmt: skip
def test_what_cannot_be_is_named(name, role, expires, field):
    with pytest.raises(InvalidInput, match=f"{field}: "):
        mint(name, role, "root", NOW, expires)


def test_a_role_may_what_smaller_ones_may():
    assert ROLES == ("viewer", "analyst", "operator", "admin")
    for place, role in enumerate(ROLES):
        assert [includes(role, needed) for needed in ROLES] == [n <= place for n in range(4)]
    require("ann", "operator", "analyst")
    with pytest.raises(Forbidden, match="needs the role admin, and 'ann' is operator"):
        require("ann", "operator", "admin")
