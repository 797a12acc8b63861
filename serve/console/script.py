"""The script that Streamlit runs for each visit and each click."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from serve.console.api import Caller, Mesh, Refused
from serve.console.context import Context, current
from serve.console.identity import (
    by_organisation,
    caller_of,
    has_account,
    leave,
    offers_organisation,
    presence,
)
from serve.console.look import CSS, arrived, empty, failed, plain
from serve.console.pages import alerts, assets, audit, cost, models, quality, rollouts, routes, triage

Show = Callable[[Mesh], None]

PAGES: Final[tuple[tuple[str, str, Show], ...]] = (
    ("Triage", ":material/inbox:", triage.show),
    ("Alerts", ":material/notifications:", alerts.show),
    ("Assets", ":material/sensors:", assets.show),
    ("Models", ":material/deployed_code:", models.show),
    ("Routes", ":material/alt_route:", routes.show),
    ("Rollouts", ":material/rocket_launch:", rollouts.show),
    ("Quality", ":material/verified:", quality.show),
    ("Cost", ":material/payments:", cost.show),
    ("Audit", ":material/history:", audit.show),
)


def welcome(context: Context) -> None:
    """For whoever must sign in."""
    empty("You are not signed in", "Sign in with an API token to see and decide.")
    st.markdown(
        '<a class="button" href="/signin" target="_self">Sign in with a token</a>', unsafe_allow_html=True
    )
    if offers_organisation():
        if has_account(context):
            failed(
                f"{st.user.get('email', 'You')} is signed in, and no token is kept for that address: "
                "an admin adds it under [people] in the console's secrets (docs/console.md)."
            )
            st.button("Sign out", on_click=leave, args=(context,))
        else:
            st.button("Sign in with your organisation", on_click=st.login)


def person(caller: Caller, context: Context) -> None:
    """Who is signed in; the user of the mesh's own machine may say another name."""
    with st.sidebar:
        st.caption("HyperStream Mesh")
        if caller.by == "local":
            name = st.text_input(
                "You act as", caller.name or "", max_chars=128, help="You sit at the mesh's own machine."
            )
            if name and name != caller.name:
                st.query_params["as"] = name
                st.rerun()
            st.caption(f"role {caller.role} · this machine")
        else:
            st.markdown(f"**{plain(caller.name)}** · {caller.role}")
            if caller.by == "certificate":
                st.caption("this machine's certificate")
            elif by_organisation(context):
                st.button("Sign out", on_click=leave, args=(context,), type="tertiary")
            else:
                st.markdown('<a href="/signout" target="_self">Sign out</a>', unsafe_allow_html=True)


def chosen(of: Callable[[Show], Callable[[], None]], *, signed_in: bool) -> StreamlitPage:
    """The page that the address names; `of` gives what it holds. The addresses are the same for whoever must sign in first."""
    pages = [
        st.Page(of(show), title=title, icon=icon, url_path=title.lower(), default=title == "Triage")
        for title, icon, show in PAGES
    ]
    return st.navigation(pages, position="sidebar" if signed_in else "hidden", expanded=True)


def refused_by(said: Refused) -> None:
    """What the mesh said instead of an answer."""
    failed(said.message)
    st.button("Try again")


def page_of(show: Show, mesh: Mesh) -> Callable[[], None]:
    """One page over the mesh, or what the mesh said instead."""

    def page() -> None:
        arrived(show.__module__)
        try:
            show(mesh)
        except Refused as said:
            refused_by(said)

    return page


def main() -> None:
    """One run of the script."""
    st.set_page_config(
        page_title="HyperStream Mesh", page_icon=str(Path(__file__).with_name("icon.png")), layout="wide"
    )
    st.html(CSS)
    context = current()
    try:
        caller = caller_of(context)
    except Refused as refused:
        said = refused
        chosen(lambda _: lambda: refused_by(said), signed_in=False).run()
        return
    if caller is None:
        chosen(lambda _: lambda: welcome(context), signed_in=False).run()
        return
    mesh = Mesh(context.http, caller, presence(context))
    page = chosen(lambda show: page_of(show, mesh), signed_in=True)
    person(caller, context)
    page.run()


main()
