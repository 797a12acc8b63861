"""Who looks at the page: by session, by OIDC, or as the user of the mesh's own machine."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import streamlit as st

from serve.console.api import Caller, Refused, whoami
from serve.console.context import Context
from serve.console.near import at_this_machine
from serve.console.sessions import COOKIE

_KEPT = "caller"
_ACCOUNT: Final = "_streamlit_user"
"""Where Streamlit keeps who signed in by OpenID Connect; a long one goes on in `_streamlit_user__1` and so on."""


def caller_of(context: Context) -> Caller | None:
    """Who the mesh takes this browser for; None where they must sign in. Raises `Refused` where the mesh does not answer.

    Without a token nobody acts unless their browser is on this machine: the mesh would take them for its own user, because
    it is the console that asks.
    """
    token = context.sessions.token(st.context.cookies.get(COOKIE)) or _organisation(context)
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
    sessions, name, account = context.sessions, st.context.cookies.get(COOKIE), _account()
    token = sessions.look(name)
    if token is None:
        return lambda: not sessions.left(account)
    return lambda: sessions.look(name) == token


def offers_organisation() -> bool:
    """Whether OIDC is configured (`[auth]` in Streamlit's secrets)."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:
        return False


def by_organisation(context: Context) -> bool:
    """Whether it is OIDC that says who is there, not a token's session."""
    signed_in = context.sessions.token(st.context.cookies.get(COOKIE)) is not None
    return not signed_in and has_account(context)


def has_account(context: Context) -> bool:
    """Whether somebody signed in by OIDC, and not out again, with a token or without."""
    return offers_organisation() and bool(st.user.is_logged_in) and not context.sessions.left(_account())


def leave(context: Context) -> None:
    """Sign out of the organisation's account, in every tab."""
    if account := _account():
        context.sessions.leave(account)
    st.logout()


def token_of(user: Mapping[str, Any], people: Mapping[str, Any]) -> str | None:
    """The token of whoever OIDC says is there: by e-mail address, which the provider must have verified."""
    email = user.get("email")
    if not isinstance(email, str) or user.get("email_verified") is not True:
        return None
    found = {str(name).lower(): str(token) for name, token in people.items()}
    return found.get(email.lower())


def _organisation(context: Context) -> str | None:
    if not has_account(context):
        return None
    return token_of(st.user.to_dict(), st.secrets.get("people", {}))


def _account() -> str:
    cookies = st.context.cookies
    parts = [name for name in cookies if name == _ACCOUNT or name.startswith(f"{_ACCOUNT}__")]
    return "".join(cookies[name] for name in sorted(parts))
