"""The console's pure parts: who may act without a token, times, sessions, the table of actions, refusals in words."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import httpx
import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.testclient import TestClient

from serve.console import actions
from serve.console.api import Caller, Mesh, Refused, client, whoami
from serve.console.identity import token_of
from serve.console.look import arrived, cursors, number, plain, trouble
from serve.console.near import at_this_machine
from serve.console.sessions import COOKIE, Sessions
from serve.console.signin import signin_routes
from serve.console.times import axis, left, span, time_html, zone

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("bound", "headers", "near"),
    [
        ("127.0.0.1", {"host": "localhost:8501"}, True),
        ("127.0.0.1", {"host": "127.0.0.1:8501"}, True),
        ("::1", {"host": "[::1]:8501"}, True),
        ("127.0.0.1", {"host": "evil.example:8501"}, False),
        ("127.0.0.1", {"host": "localhost:8501", "x-forwarded-for": "10.0.0.9"}, False),
        ("0.0.0.0", {"host": "localhost:8501"}, False),
        ("127.0.0.1", {}, False),
    ],
)
def test_only_a_browser_on_this_machine_acts_without_a_token(bound, headers, near):
    assert at_this_machine(bound, headers) is near


def test_times_are_local_with_utc_for_the_hover():
    berlin = ZoneInfo("Europe/Berlin")
    shown = time_html("2026-11-27T11:30:05Z", berlin, NOW)
    assert ">12:30:05<" in shown
    assert 'title="2026-11-27 11:30:05 UTC"' in shown
    assert "26 Nov 2026, 12:30:05" in time_html("2026-11-26T11:30:05Z", berlin, NOW)
    assert axis("2026-11-27T11:30:05Z", berlin) == "2026-11-27T12:30:05"
    assert zone("Nowhere/AtAll") is UTC


def test_lengths_of_time():
    assert [span(one) for one in (None, 0, 45, 750, 9_000, 259_200)] == [
        "—",
        "0 s",
        "45 s",
        "12.5 min",
        "2.5 h",
        "3 d",
    ]
    assert left("2026-11-27T12:12:00Z", NOW) == "due in 12 min"
    assert left("2026-11-27T09:00:00Z", NOW) == "overdue by 3 h"


def test_a_session_ends_when_idle_when_ended_and_when_there_are_too_many():
    now = [0.0]
    sessions = Sessions(idle_s=10, most=2, clock=lambda: now[0])
    first = sessions.begin("one")
    now[0] = 8.0
    assert sessions.token(first) == "one"
    now[0] = 16.0
    assert sessions.token(first) == "one", "asking keeps it alive"
    now[0] = 27.0
    assert sessions.token(first) is None
    names = [sessions.begin(str(n)) for n in range(3)]
    assert [sessions.token(one) for one in names] == [None, "1", "2"]
    sessions.end(names[1])
    assert sessions.token(names[1]) is None
    assert sessions.token(None) is None


def test_accounts_that_were_signed_out_are_known_as_such_the_newest_at_least():
    sessions = Sessions(most=2)
    for account in ("one", "two", "three"):
        assert not sessions.left(account)
        sessions.leave(account)
    assert [sessions.left(account) for account in ("one", "two", "three", "")] == [False, True, True, False]


def test_a_session_that_is_only_looked_at_grows_idle():
    now = [0.0]
    sessions = Sessions(idle_s=10, most=2, clock=lambda: now[0])
    name = sessions.begin("one")
    now[0] = 8.0
    assert sessions.look(name) == "one"
    now[0] = 11.0
    assert sessions.look(name) is None
    assert sessions.token(name) is None
    assert sessions.look(None) is None


def test_whoever_signed_out_in_another_tab_asks_and_changes_nothing():
    http, asked = answered(200, json={})
    sessions = Sessions()
    name = sessions.begin("hsm_x")
    caller = Caller("bob", "operator", "token", "hsm_x")
    mesh = Mesh(http, caller, lambda: sessions.look(name) == caller.token)
    mesh.get("/alerts")
    sessions.end(name)
    for ask in (lambda: mesh.get("/alerts"), lambda: mesh.act(actions.ABORT, "pump")):
        with pytest.raises(Refused, match="signed out") as told:
            ask()
        assert told.value.status == 401
    assert len(asked) == 1


def test_oidc_gives_a_token_for_a_verified_address_alone():
    people = {"Ann@example.org": "hsm_a"}
    assert token_of({"email": "ann@example.org", "email_verified": True}, people) == "hsm_a"
    assert token_of({"email": "ann@example.org", "email_verified": False}, people) is None
    assert token_of({"email": "ann@example.org"}, people) is None
    assert token_of({"email": "eve@example.org", "email_verified": True}, people) is None


def test_roles_decide_what_is_offered():
    assert not actions.allowed(None, actions.DECIDE)
    assert not actions.allowed("viewer", actions.DECIDE)
    assert actions.allowed("analyst", actions.APPROVE)
    assert not actions.allowed("analyst", actions.ABORT)
    assert all(actions.allowed("admin", one) for one in actions.ACTIONS)


def answered(status, **body):
    """A client whose API always says this, and what it was asked."""
    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(status, **body)

    return client("http://mesh", httpx.MockTransport(answer)), asked


def test_what_fails_is_said_in_the_apis_own_words():
    http, _ = answered(409, json={"error": "'ann' holds it"})
    with pytest.raises(Refused, match="'ann' holds it") as told:
        Mesh(http, Caller("bob", "analyst", "token", "hsm_x")).act(actions.LEASE, "1")
    assert told.value.status == 409
    http, _ = answered(502, text="<html>")
    with pytest.raises(Refused, match="answered 502 and no JSON"):
        whoami(http, None)


def test_a_mesh_that_is_away_is_named():
    def away(request):
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(Refused, match=r"not reached at http://mesh.*Is it running"):
        whoami(client("http://mesh", httpx.MockTransport(away)), None)


def test_actions_carry_the_token_the_name_and_an_id_that_cannot_leave_its_place():
    http, asked = answered(200, json={})
    Mesh(http, Caller("bob", "analyst", "token", "hsm_x")).act(
        actions.LEASE, "../../audit?x=1", action="confirm"
    )
    (request,) = asked
    assert request.url.raw_path == b"/review/items/..%2F..%2Faudit%3Fx%3D1/lease"
    assert request.headers["authorization"] == "Bearer hsm_x"
    assert b'"actor":"bob"' in request.content
    assert b'"action":"confirm"' in request.content


def test_what_is_asked_for_cannot_leave_its_place_either():
    http, asked = answered(200, json={})
    Mesh(http, Caller("bob", "viewer", "token", "hsm_x")).get("/features/{}", "line 1/pump#7?x", view=None)
    assert asked[0].url.raw_path == b"/features/line%201%2Fpump%237%3Fx"


@pytest.mark.parametrize(
    ("value", "digits", "shown"),
    [(None, 4, "—"), (0.000012, 4, "1.2e-05"), (12.3456, 3, "12.3"), (999.4, 3, "999"), (999.7, 3, "1,000"),
     (-999.7, 3, "-1,000"), (1234.5, 4, "1,234"), (99.7, 2, "100"), (0.0, 4, "0")],
)  # fmt: skip
def test_numbers_are_rounded_as_people_write_them(value, digits, shown):
    assert number(value, digits) == shown


def test_what_others_wrote_is_shown_as_they_wrote_it():
    assert plain("![x](http://evil.example/p.png)") == r"\!\[x\]\(http\:\/\/evil\.example\/p\.png\)"
    assert plain("$x$ a_b* <NAME> :red[y] ö 7") == r"\$x\$ a\_b\* \<NAME\> \:red\[y\] ö 7"


@pytest.fixture
def visit():
    """What Streamlit keeps for a visit."""
    st.session_state.clear()
    yield st.session_state
    st.session_state.clear()


def test_an_error_stays_on_its_page_and_a_list_begins_with_the_newest(visit):
    arrived("alerts")
    trouble("409: resolved already")
    cursors({"state": "open"}).append("older")
    arrived("alerts")
    assert (visit["trouble"], cursors({"state": "open"})) == ("409: resolved already", ["older"])
    assert cursors({"state": "all"}) == [], "an older page of other alerts is no page of these"
    cursors({"state": "open"}).append("older")
    arrived("rollouts")
    assert visit["trouble"] is None
    assert cursors({"state": "open"}) == []


@pytest.fixture
def sign_in_pages():
    """The sign-in over an API that knows every token, the sessions, and what was asked."""
    http, asked = answered(200, json={"actor": "bob", "role": "analyst", "by": "token"})
    sessions = Sessions()
    app = Starlette(routes=signin_routes(http, sessions))
    return TestClient(app, base_url="http://console", follow_redirects=False), sessions, asked


@pytest.mark.parametrize("token", ["hsm_x\u2026", "hsm_\nx", "\u00a0hsm\u00e4"])
def test_what_no_header_can_carry_is_no_token(sign_in_pages, token):
    http, _, asked = sign_in_pages
    reply = http.post("/signin", data={"token": token})
    assert (reply.status_code, asked) == (401, [])
    assert "no API token" in reply.text


def test_who_signs_in_anew_leaves_no_session_of_whoever_was_there_before(sign_in_pages):
    http, sessions, _ = sign_in_pages
    http.post("/signin", data={"token": "hsm_x"})
    before = http.cookies[COOKIE]
    http.post("/signin", data={"token": "hsm_y"})
    assert sessions.look(before) is None
    assert sessions.look(http.cookies[COOKIE]) == "hsm_y"


def test_another_site_signs_nobody_out(sign_in_pages):
    http, sessions, _ = sign_in_pages
    http.post("/signin", data={"token": "hsm_x"})
    name = http.cookies[COOKIE]
    reply = http.get("/signout", headers={"sec-fetch-site": "cross-site"})
    assert "set-cookie" not in reply.headers
    assert sessions.look(name) == "hsm_x"
    assert "set-cookie" in http.get("/signout", headers={"sec-fetch-site": "same-origin"}).headers
    assert sessions.look(name) is None
