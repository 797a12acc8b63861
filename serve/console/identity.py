"""Who looks at the page: by session, by OIDC, or as the user of the mesh's own machine."""

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from serve.console.api import Caller, Refused, whoami
from serve.console.context import Context
from serve.console.near import at_this_machine
from serve.console.sessions import COOKIE

_KEPT = "caller"


def caller_of(context: Context) -> Caller | None:
    """Who the mesh takes this browser for; None where they must sign in. Raises `Refused` where the mesh does not answer.

    Without a token nobody acts unless their browser is on this machine: the mesh would take them for its own user, because
    it is the console that asks.
    """
    token = context.sessions.token(st.context.cookies.get(COOKIE)) or _organisation()
    headers = {name.lower(): value for name, value in st.context.headers.items()}
    if token is None and not at_this_machine(context.options.host, headers):
        return None
    kept: tuple[str | None, Caller] | None = st.session_state.get(_KEPT)
    if kept is None or kept[0] != token:
        try:
            kept = (token, whoami(context.http, token))
        except Refused as refused:
            if refused.status == 401:
                return None
            raise
        st.session_state[_KEPT] = kept
    caller = kept[1]
    return None if caller.by == "nobody" else caller.named(str(st.query_params.get("as", ""))[:128])


def presence(context: Context) -> Callable[[], bool]:
    """Whether this browser still is who it is now: a page goes on asking by itself when they sign out in another tab.

    What is given may be asked from any thread, as of a download.
    """
    sessions, name = context.sessions, st.context.cookies.get(COOKIE)
    token = sessions.look(name)
    return lambda: token is None or sessions.look(name) == token


def offers_organisation() -> bool:
    """Whether OIDC is configured (`[auth]` in Streamlit's secrets)."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def by_organisation(context: Context) -> bool:
    """Whether it is OIDC that says who is there, not a token's session."""
    signed_in = context.sessions.token(st.context.cookies.get(COOKIE)) is not None
    return not signed_in and offers_organisation() and bool(st.user.is_logged_in)


def token_of(user: Mapping[str, Any], people: Mapping[str, Any]) -> str | None:
    """The token of whoever OIDC says is there: by e-mail address, which the provider must have verified."""
    email = user.get("email")
    if not isinstance(email, str) or user.get("email_verified") is not True:
        return None
    found = {str(name).lower(): str(token) for name, token in people.items()}
    return found.get(email.lower())


def _organisation() -> str | None:
    if not offers_organisation() or not st.user.is_logged_in:
        return None
    return token_of(st.user.to_dict(), st.secrets.get("people", {}))
