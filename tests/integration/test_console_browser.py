"""The console in a real Chromium over the mesh's own API: triage by keys, two people, undo, a rollout, a reload."""

import re
import time

import httpx
import pytest
from console_browser import Console, act_on, begin_browser, decide, item_of, press, sign_in, sign_out, visit
from playwright.sync_api import expect

from serve.console import actions
from serve.console.sessions import COOKIE
from tests.fakes.console_world import start


@pytest.fixture(scope="module")
def browser():
    browser, end = begin_browser()
    yield browser
    end()


@pytest.fixture(scope="module")
def console(tmp_path_factory, browser):
    folder = tmp_path_factory.mktemp("console")
    world = start(folder, time.time_ns() // 1_000_000, many=40)
    running = Console(world, folder / "console.log")
    yield running
    assert running.close() == 0, "it drains and ends when its standard input closes"
    world.close()


@pytest.fixture
def person(browser, console):
    """A visit to a page by somebody at the mesh's own machine; every visit is closed."""
    opened = []

    def begin(name, path=""):
        page = visit(browser, console, f"{path}?as={name}")
        opened.append(page.context)
        return page

    yield begin
    for context in opened:
        context.close()


def test_triage_by_keys_alone_and_each_decision_is_in_the_log(console, person):
    page = person("ann")
    first = item_of(page)
    second = decide(page, "y", first)
    press(page, "o")
    expect(page.get_by_role("button", name="Sensor fault")).to_be_visible()
    third = decide(page, "1", second)
    fourth = decide(page, "x", third)
    fifth = decide(page, "e", fourth)
    decide(page, "s", fifth)
    said = [one for one in console.world.entries() if one[0] == "ann" and one[1] != "review.lease"]
    assert said[-5:] == [
        ("ann", "review.confirm", f"review:{first}"),
        ("ann", "review.override", f"review:{second}"),
        ("ann", "review.cannot_say", f"review:{third}"),
        ("ann", "review.escalate", f"review:{fourth}"),
        ("ann", "review.skip", f"review:{fifth}"),
    ]


def test_undo_by_key_brings_the_item_back_also_after_a_reload(console, person):
    page = person("bea")
    first = item_of(page)
    second = decide(page, "y", first)
    assert decide(page, "z", second) == first
    second = decide(page, "y", first)
    page.reload()
    assert item_of(page) == second, "the same person gets back what they hold"
    assert decide(page, "z", second) == first
    assert [one[1] for one in console.world.entries() if one[2] == f"review:{first}"].count(
        "review.undo"
    ) == 2


def test_two_people_at_once_never_hold_the_same(console, person):
    one, two = person("cem"), person("dia")
    held = set()
    for _ in range(3):
        a, b = item_of(one), item_of(two)
        assert a != b
        held |= {a, b}
        decide(one, "y", a)
        decide(two, "y", b)
    assert len(held) == 6


def test_what_is_typed_stays_while_the_page_refreshes_and_keys_do_not_act_meanwhile(console, person):
    page = person("eli")
    item = item_of(page)
    note = page.get_by_label("Note")
    note.click()
    page.keyboard.type("yes, so it is: bearing", delay=5)  # holds y, s, e, t, x: all keys of actions
    page.wait_for_timeout(6_000)  # longer than the page takes to refresh
    expect(note).to_have_value("yes, so it is: bearing")
    assert item_of(page) == item
    page.locator(".head strong").click()
    decide(page, "y", item)
    (decision,) = httpx.get(f"{console.world.url}/review/items/{item}", timeout=60).json()["decisions"]
    assert decision["note"] == "yes, so it is: bearing"


def test_an_incident_at_once_and_back(console, person):
    url = console.world.url
    (item,) = httpx.get(f"{url}/review/queue", params={"asset": "mixer-1", "limit": 1}, timeout=60).json()[
        "items"
    ]
    httpx.post(f"{url}/review/items/{item['id']}/lease", json={"actor": "fay"}, timeout=60).raise_for_status()
    page = person("fay")
    before = item_of(page)
    assert before == item["id"], "what they hold already comes first"
    page.get_by_text("Incident of 3 items").click()
    act_on(page, before, page.get_by_role("button", name=re.compile("Override all")).click)
    assert ("fay", "review.bulk") in [one[:2] for one in console.world.entries()]
    expect(
        page.get_by_role("button", name="Undo")
    ).to_be_enabled()  # drawn after the item, and a key needs its button
    press(page, "z")
    expect(page.get_by_text(re.compile("Undone"))).to_be_visible()
    assert ("fay", "review.undo_bulk") in [one[:2] for one in console.world.entries()]


def test_an_alert_is_acknowledged_then_resolved(console, person):
    page = person("gus", "alerts")
    page.get_by_role("textbox", name="Note").fill("on my way")
    page.get_by_role("textbox", name="Note").press("Enter")
    page.get_by_role("button", name="Acknowledge").first.click()
    expect(page.get_by_text(re.compile("is acknowledged"))).to_be_visible()
    page.get_by_text("acknowledged", exact=True).first.click()
    expect(page.get_by_text(re.compile("acknowledged by gus"))).to_be_visible()
    page.get_by_role("button", name="Resolve").first.click()
    expect(page.get_by_text(re.compile("is resolved"))).to_be_visible()
    acted = [one[1] for one in console.world.entries() if one[0] == "gus"]
    assert acted == ["alerts.acknowledge", "alerts.resolve"]


def test_times_are_local_with_utc_on_hover(console, person):
    page = person("ida", "alerts")
    page.locator("time").first.wait_for()
    local, utc = page.evaluate("(one => [one.innerText, one.title])(document.querySelector('time'))")
    hour, minute, _ = local.split(", ")[-1].split(":")
    assert utc.endswith("UTC")
    assert utc[14:16] == minute
    assert int(utc[11:13]) != int(hour), "Berlin is never UTC"


def test_the_sidebar_leads_to_every_page(console, person):
    page = person("gus")
    item_of(page)
    for name in ("Alerts", "Assets", "Models", "Routes", "Rollouts", "Quality", "Cost", "Audit", "Triage"):
        page.get_by_role("link", name=name, exact=True).click()
        expect(
            page.locator("[data-item]")
            if name == "Triage"
            else page.get_by_role("heading", name=name, exact=True)
        ).to_be_visible()


def test_every_page_shows_something_and_nothing_fails(console, person, browser):
    page = person("joe")
    outside = []
    page.on(
        "request",
        lambda one: (
            outside.append(one.url)
            if not one.url.startswith((console.url, console.url.replace("http", "ws"), "data:", "blob:"))
            else None
        ),
    )
    for path in ("assets", "models", "routes", "quality", "cost", "audit", "rollouts", "alerts"):
        page.goto(f"{console.url}/{path}?as=joe")
        expect(page.get_by_role("heading", name=path.capitalize(), exact=True)).to_be_visible()
        expect(
            page.locator(".rows, .empty, .js-plotly-plot, [data-testid=stMetric], .head").first
        ).to_be_visible()
        assert page.get_by_test_id("stAlert").count() == 0, path
        assert page.get_by_test_id("stException").count() == 0, path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            f"{path} is wider than 1280"
        )
    assert outside == [], "nothing is fetched from elsewhere"
    page.goto(f"{console.url}/audit?as=joe")
    page.get_by_role("button", name="Is it whole?").click()
    expect(page.get_by_text(re.compile("^Whole: "))).to_be_visible()


def test_a_role_is_offered_what_it_may_and_a_rollout_is_approved(console, browser):
    world = console.world
    tokens = {role: world.token(name, role) for name, role in (("vic", "viewer"), ("ana", "analyst"))}
    page = visit(browser, console)
    sign_in(page, console, "hsm_0123456789ab_" + "x" * 43)
    expect(page.get_by_role("alert")).to_contain_text("not known")
    sign_in(page, console, tokens["viewer"])
    expect(page.get_by_text("vic")).to_be_visible()
    expect(page.get_by_text("You may look, not decide")).to_be_visible()
    page.goto(f"{console.url}/rollouts")
    expect(page.get_by_text("Paused: approval")).to_be_visible()
    assert page.get_by_role("button", name="Approve").count() == 0
    sign_out(page)
    sign_in(page, console, tokens["analyst"])
    (cookie,) = [one for one in page.context.cookies() if one["name"] == COOKIE]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert tokens["analyst"] not in cookie["value"]
    page.goto(f"{console.url}/rollouts")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    assert page.get_by_role("button", name="Abort").count() == 0, "that takes an operator"
    page.get_by_role("button", name="Approve").click()
    expect(page.locator(".tag", has_text="Promoting")).to_be_visible()
    assert ("ana", "rollouts.approve", "rollout:pump-anomaly-2") in world.entries()
    page.context.close()


def test_who_signs_out_in_one_tab_is_gone_from_the_others(console, browser):
    page = visit(browser, console)
    sign_in(page, console, console.world.token("una", "analyst"))
    expect(page.get_by_text("una")).to_be_visible()
    page.goto(f"{console.url}/alerts")
    expect(page.get_by_role("button", name="Resolve").first).to_be_visible()
    other = page.context.new_page()
    other.goto(f"{console.url}/quality")
    sign_out(other)
    expect(page.get_by_text("you are signed out")).to_be_visible()
    expect(page.get_by_role("button", name="Resolve")).to_have_count(0)
    page.context.close()


def test_no_action_is_without_a_call_and_an_entry(console):
    """Each of the console's actions, against the real API: what it is named in the table stands in the log."""
    from serve.console.api import Mesh, client, whoami

    world = console.world
    token = world.token("kim", "operator")
    http = client(world.url)
    mesh = Mesh(http, whoami(http, token))

    def entry_of(action, target="", /, **body):
        before = len(world.entries())
        done = mesh.act(action, target, **body)
        actor, name, _ = world.entries()[before]
        assert actor == "kim"
        assert re.fullmatch(action.audit.replace(".", r"\.").replace("*", ".+"), name), (action, name)
        return done

    case = entry_of(actions.NEXT)
    item, said = case["item"]["id"], {"action": "escalate", "evidence": case["evidence"]}
    entry_of(actions.LEASE, item)
    entry_of(actions.RELEASE, item)
    entry_of(actions.LEASE, item)
    entry_of(actions.DECIDE, item, **said)
    entry_of(actions.UNDO, item)
    bulk = entry_of(actions.BULK, incident=case["item"]["incident"], action="confirm")
    entry_of(actions.UNDO_BULK, bulk["id"])
    alert = mesh.get("/alerts", state="open", limit=1)["alerts"][0]["id"]
    entry_of(actions.ACKNOWLEDGE, alert, note="seen")
    entry_of(actions.RESOLVE, alert)
    http.close()
    covered = {actions.NEXT, actions.LEASE, actions.RELEASE, actions.DECIDE, actions.UNDO, actions.BULK, actions.UNDO_BULK,
               actions.ACKNOWLEDGE, actions.RESOLVE}  # fmt: skip
    assert {one for one in actions.ACTIONS if not one.audit.startswith("rollouts.")} == covered
