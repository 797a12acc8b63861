"""Signing in with an organisation's account: a real OpenID Connect provider and Chromium, a console under a name of its own."""

import secrets
import time

import httpx
import pytest
from console_browser import Console, begin_browser, visit
from oidc_provider_mock import run_server_in_thread
from playwright.sync_api import Page, expect

from tests.fakes.console_world import start
from tests.fakes.machine import free_port

HOST = "console.example"
"""Not one of this machine's own names, so nobody acts without signing in."""
PEOPLE = {
    "ann": {"email": "Ann@example.org", "email_verified": True},
    "bob": {"email": "bob@example.org", "email_verified": True},
    "eve": {"email": "ann@example.org", "email_verified": False},
}


@pytest.fixture(scope="module")
def provider():
    with run_server_in_thread(require_nonce=True) as server:
        address = f"http://localhost:{server.server_port}"
        for name, claims in PEOPLE.items():
            httpx.put(f"{address}/users/{name}", json=claims, timeout=60).raise_for_status()
        yield address


@pytest.fixture(scope="module")
def browser():
    browser, end = begin_browser(f"--host-resolver-rules=MAP {HOST} 127.0.0.1")
    yield browser
    end()


@pytest.fixture(scope="module")
def console(tmp_path_factory, provider, browser):
    folder, port = tmp_path_factory.mktemp("oidc"), free_port()
    world = start(folder, time.time_ns() // 1_000_000, many=5)
    kept = folder / "secrets.toml"
    kept.write_text(f"""
[auth]
redirect_uri = "http://{HOST}:{port}/oauth2callback"
cookie_secret = "{secrets.token_hex(32)}"
client_id = "console"
client_secret = "{secrets.token_hex(16)}"
server_metadata_url = "{provider}/.well-known/openid-configuration"

[people]
"ann@example.org" = "{world.token("ann", "analyst")}"
""")
    running = Console(world, folder / "console.log", "--secrets", str(kept), port=port)
    running.url = f"http://{HOST}:{port}"
    yield running
    assert running.close() == 0, "it drains and ends when its standard input closes"
    world.close()


@pytest.fixture
def page(browser, console):
    page = visit(browser, console)
    expect(page.get_by_text("You are not signed in")).to_be_visible()
    yield page
    page.context.close()


def sign_in(page: Page, name: str) -> None:
    page.get_by_role("button", name="Sign in with your organisation").click()
    page.get_by_placeholder("sub").fill(name)
    page.get_by_role("button", name="Authorize").click()


def test_a_verified_address_with_a_token_acts_as_its_person_until_they_sign_out(console, page):
    sign_in(page, "ann")
    expect(page.get_by_text("ann · analyst")).to_be_visible()
    expect(page.get_by_role("button", name="Confirm")).to_be_visible()
    assert console.world.entries()[-1][:2] == ("ann", "review.lease")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="End session").click()  # of the provider
    expect(page.get_by_text("You are not signed in")).to_be_visible()
    assert page.get_by_role("link", name="Rollouts").count() == 0
    page.reload()
    expect(page.get_by_text("You are not signed in")).to_be_visible()


def test_who_signs_out_of_their_account_in_one_tab_is_gone_from_the_others_and_may_come_back(console, page):
    sign_in(page, "ann")
    expect(page.get_by_text("ann · analyst")).to_be_visible()
    kept = page.context.cookies()
    page.goto(f"{console.url}/alerts")
    expect(page.get_by_role("button", name="Resolve").first).to_be_visible()
    other = page.context.new_page()
    other.goto(f"{console.url}/quality")
    other.get_by_role("button", name="Sign out").click()
    other.get_by_role("button", name="End session").click()
    expect(other.get_by_text("You are not signed in")).to_be_visible()
    expect(page.get_by_text("you are signed out")).to_be_visible()
    expect(page.get_by_role("button", name="Resolve")).to_have_count(0)
    page.context.add_cookies(kept)  # of a browser that was not told, or that somebody else has copied
    page.reload()
    expect(page.get_by_text("You are not signed in")).to_be_visible()
    sign_in(page, "ann")
    expect(page.get_by_text("ann · analyst")).to_be_visible()


@pytest.mark.parametrize("name", ["bob", "eve"])
def test_an_address_without_a_token_or_not_verified_is_nobody_and_is_told_so(page, name):
    sign_in(page, name)
    expect(page.get_by_text("no token is kept for that address")).to_be_visible()
    expect(page.get_by_role("button", name="Confirm")).to_have_count(0)


def test_whoever_turns_back_at_the_provider_is_not_signed_in(page):
    page.get_by_role("button", name="Sign in with your organisation").click()
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_text("You are not signed in")).to_be_visible()
