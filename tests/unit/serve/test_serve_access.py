"""Who is let in: tokens, this machine's own user, pages of other sites, and what needs no token."""

import asyncio

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from mesh.errors import RateLimited, StoreAway, Unauthenticated
from mesh.records.bearer import KEPT_S, STALE_S, Bearers
from mesh.records.memory_audit import MemoryAudit, MemoryLedger
from mesh.records.times import now_ms
from mesh.records.tokens import Token, mint, revoked
from mesh.security.exposure import is_loopback
from mesh.security.pace import Pace
from mesh.stores.alerts import MemoryAlerts
from mesh.stores.redis_online import RedisOnlineStore
from serve.access.gate import Asked, Gate
from serve.access.guard import Guard, Through
from serve.access.opening import LateTokens
from serve.access.whoami import whoami_router
from serve.api.alerts import alerts_router
from serve.api.audit import audit_router
from serve.api.features import features_router
from serve.api.rollouts import rollouts_router
from serve.api.rules import rules_router
from serve.http.api import build_api
from serve.http.certificate import PeerCertificate
from serve.oip.inference import Inference
from serve.oip.ports import ServerFacts
from tests.fakes.echo_engine import EchoEngine

LOCAL = ("127.0.0.1", 50_000)
HERE = {"host": "127.0.0.1:8080"}


class Book:
    """Tokens in memory; can be away."""

    def __init__(self) -> None:
        self.minted = mint("ann", "analyst", "root", now_ms())
        self.token: Token = self.minted.token
        self.away = False
        self.asked = 0

    async def find(self, identifier: str) -> Token | None:
        self.asked += 1
        if self.away:
            raise StoreAway("the database of records", "gone")
        return self.token if identifier == self.token.id else None


@pytest.fixture
def book() -> Book:
    return Book()


def app(book: Book, access="local", *, listener_local=True, clock=None, answered=lambda _: None):
    api: FastAPI = build_api(Inference(EchoEngine({}), ServerFacts("t", "9", {})), [whoami_router()])

    @api.post("/change")
    async def change() -> str:
        return "changed"

    gate = Gate(Bearers(book.find, **({"clock": clock} if clock else {})), access, "dana")
    return Guard(api, gate, listener_local=listener_local, answered=answered)


def client(app, peer=LOCAL) -> TestClient:
    return TestClient(app, base_url="http://127.0.0.1:8080", client=peer)


def bearer(book: Book) -> dict[str, str]:
    return {"authorization": f"Bearer {book.minted.text}"}


def test_on_the_loopback_the_user_of_this_machine_may_change_things(book):
    here = client(app(book))
    assert here.post("/change").status_code == 200
    assert here.get("/whoami").json() == {"actor": "dana", "role": "admin", "by": "local"}


@pytest.mark.parametrize(
    ("peer", "headers", "listener_local"),
    [
        (("10.0.0.7", 1), {}, True),
        (("10.0.0.7", 1), {"host": "localhost"}, True),
        (LOCAL, {}, False),
        (LOCAL, {"x-forwarded-for": "10.0.0.7"}, True),
        (LOCAL, {"forwarded": "for=10.0.0.7"}, True),
        (LOCAL, {"host": "evil.example"}, True),  # DNS rebinding
        (LOCAL, {"host": "localhost.evil.example"}, True),
    ],
)
def test_off_the_loopback_nothing_changes_without_a_token(book, peer, headers, listener_local):
    there = client(app(book, listener_local=listener_local), peer)
    reply = there.post("/change", headers=headers)
    assert reply.status_code == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert reply.json()["error"] == (
        "POST /change needs a token: send the header 'Authorization: Bearer TOKEN'; "
        "ask an admin for one (hyperstream token create NAME --role ROLE)"
    )
    assert there.get("/healthz", headers=headers).status_code == 200  # reading is free
    assert there.get("/whoami", headers=headers).json() == {"actor": None, "role": None, "by": "nobody"}
    assert there.post("/change", headers={**headers, **bearer(book)}).status_code == 200


def test_a_port_behind_a_proxy_of_our_own_says_whether_it_is_local(book):
    guarded = app(book)
    assert client(Through(guarded, listener_local=True)).post("/change").status_code == 200
    assert client(Through(guarded, listener_local=False)).post("/change").status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:3000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing_through_a_browser_here(book, headers):
    here = client(app(book))
    assert here.post("/change", headers=headers).status_code == 403
    assert here.get("/healthz", headers=headers).status_code == 200
    # A page can make a browser send no token: it would have to know it.
    assert here.post("/change", headers={**headers, **bearer(book)}).status_code == 200


def test_a_page_of_ours_does(book):
    own = {"origin": "http://127.0.0.1:8080", "sec-fetch-site": "same-origin"}
    assert client(app(book)).post("/change", headers=own).status_code == 200


@pytest.mark.parametrize(
    ("authorization", "said"),
    [
        ("Basic YWJj", "the scheme 'Basic' is not known"),
        ("Bearer", "no token of this mesh"),
        ("Bearer nonsense", "no token of this mesh"),
        (f"Bearer hsm_0123456789ab_{'x' * 43}", "the token is not known here"),
    ],
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/change"), ("GET", "/whoami")])
def test_a_wrong_token_is_refused_even_where_none_is_needed(book, authorization, said, method, path):
    reply = client(app(book)).request(method, path, headers={"authorization": authorization})
    assert reply.status_code == 401
    assert said in reply.json()["error"]


def test_a_token_names_its_owner(book):
    there = client(app(book), ("10.0.0.7", 1))
    assert there.get("/whoami", headers=bearer(book)).json() == {
        "actor": "ann",
        "role": "analyst",
        "by": "token",
    }


@pytest.mark.parametrize(
    ("access", "change", "read", "health"), [("changes", 401, 200, 200), ("all", 401, 401, 200)]
)
def test_the_setting_asks_for_tokens_on_the_loopback_too(book, access, change, read, health):
    here = client(app(book, access))
    assert here.post("/change").status_code == change
    assert here.get("/v2").status_code == read
    assert here.get("/healthz").status_code == health
    assert here.post("/v2/repository/index").status_code == read
    assert here.get("/v2", headers=bearer(book)).status_code == 200


def test_a_revoked_token_is_refused_within_two_seconds(book):
    now = [0.0]
    there = client(app(book, clock=lambda: now[0]), ("10.0.0.7", 1))
    assert there.post("/change", headers=bearer(book)).status_code == 200
    book.token = revoked(book.token, now_ms())
    assert there.post("/change", headers=bearer(book)).status_code == 200  # kept
    assert book.asked == 1
    now[0] = KEPT_S
    assert there.post("/change", headers=bearer(book)).status_code == 401


def test_a_known_token_outlives_its_database_for_a_while(book):
    now = [0.0]
    there = client(app(book, clock=lambda: now[0]), ("10.0.0.7", 1))
    there.post("/change", headers=bearer(book))
    book.away = True
    now[0] = STALE_S - 1
    assert there.post("/change", headers=bearer(book)).status_code == 200
    now[0] = STALE_S + 1
    reply = there.post("/change", headers=bearer(book))
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")


def test_refusals_are_counted_and_headers_are_set(book):
    statuses: list[int] = []
    there = client(app(book, answered=statuses.append), ("10.0.0.7", 1))
    for reply in (there.post("/change"), there.get("/healthz")):
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["x-frame-options"] == "DENY"
        assert "set-cookie" not in reply.headers  # nothing that a browser would send along by itself
        assert "access-control-allow-origin" not in reply.headers
    assert statuses == [401, 200]
    assert there.get("/whoami").headers["cache-control"] == "no-store"


def test_a_form_cannot_send_a_body(book):
    """What a page may send without asking first (text/plain) is not read as JSON."""
    api = build_api(Inference(EchoEngine({}), ServerFacts("t", "9", {})))

    @api.post("/take")
    async def take(body: dict[str, int]) -> int:
        return body["n"]

    here = client(Guard(api, Gate(Bearers(book.find), "local", "dana"), listener_local=True))
    assert here.post("/take", content='{"n":1}', headers={"content-type": "text/plain"}).status_code == 400
    assert here.post("/take", json={"n": 1}).json() == 1


def test_a_websocket_is_refused_where_all_calls_need_a_token(book):
    sent = []

    async def open_one(access):
        async def reached(scope, receive, send):
            await send({"type": "websocket.accept"})

        async def send(message):
            sent.append(message)

        guard = Guard(reached, Gate(Bearers(book.find), access, "dana"), listener_local=False)
        await guard({"type": "websocket", "path": "/graphql", "headers": []}, None, send)

    asyncio.run(open_one("all"))
    asyncio.run(open_one("changes"))
    assert [message["type"] for message in sent] == ["websocket.close", "websocket.accept"]
    assert sent[0]["code"] == 1008


async def test_one_client_with_a_certificate_is_one_caller_however_it_asks(book):
    gate = Gate(Bearers(book.find), "all", "dana", pace=Pace(1.0, 2.0), clock=lambda: 0.0)
    asked = Asked("GET", "/v2", {}, "10.0.0.1", False, PeerCertificate("press-7", (), "0A"))
    assert (await gate.admit(asked)).via == "certificate:0A"
    await gate.admit_inference(None, "press-7")
    for again in (gate.admit(asked), gate.admit_inference(None, "press-7")):
        with pytest.raises(RateLimited):
            await again
    await gate.admit_inference(None, "press-8")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RateLimited("'ci' asked too often", 0.5), 1013),
        (StoreAway("records", "gone"), 1013),
        (Unauthenticated("no"), 1008),
    ],
)
async def test_a_websocket_that_may_come_again_is_told_so(error, code):
    sent = []

    class Refusing:
        async def admit(self, asked):
            raise error

    async def send(message):
        sent.append(message)

    guard = Guard(None, Refusing(), listener_local=True)
    await guard({"type": "websocket", "path": "/x", "headers": []}, None, send)
    assert [(message["type"], message["code"]) for message in sent] == [("websocket.close", code)]


async def test_a_long_reason_fits_a_close_frame_whatever_it_is_written_in():
    sent = []

    class Refusing:
        async def admit(self, asked):
            raise Unauthenticated("ü" * 200)

    async def send(message):
        sent.append(message)

    await Guard(None, Refusing(), listener_local=True)(
        {"type": "websocket", "path": "/x", "headers": []}, None, send
    )
    assert sent[0]["reason"] == "ü" * 61


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost", "a.localhost", "::ffff:127.0.0.1"]
)
def test_the_loopback(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "10.0.0.1", "::", "", "localhostx", "127.0.0.1.nip.io", "::ffff:10.0.0.1"]
)
def test_not_the_loopback(host):
    assert not is_loopback(host)


async def test_a_token_that_comes_before_the_records_are_there_waits_for_them(book):
    tokens = LateTokens()
    gate = Gate(Bearers(tokens.find), "all", "dana")
    asked = asyncio.create_task(gate.admit_inference(bearer(book)["authorization"]))
    await asyncio.sleep(0)
    assert not asked.done()
    tokens.know(book.find)
    await asked
    assert await tokens.find("000000000000") is None


async def test_rows_need_a_token_only_where_all_calls_do(book):
    await Gate(Bearers(book.find), "changes", "dana").admit_inference(None)
    strict = Gate(Bearers(book.find), "all", "dana")
    await strict.admit_inference(f"Bearer {book.minted.text}")
    with pytest.raises(Unauthenticated, match="every call needs a token"):
        await strict.admit_inference(None)


def test_every_route_that_changes_something_says_what_it_needs(book):
    """From the OpenAPI document, so that it is also what users read."""
    routers = [
        alerts_router(MemoryAlerts(), MemoryLedger()),
        features_router({}, RedisOnlineStore("redis://localhost")),
        whoami_router(),
        audit_router(MemoryAudit(), None),
        rules_router(None, None, MemoryLedger()),
        rollouts_router(None, None, MemoryLedger()),
    ]
    api = build_api(Inference(EchoEngine({}), ServerFacts("t", "9", {})), routers)
    paths = api.openapi()["paths"]
    changing = {
        f"{method.upper()} {path}": "security" in operation
        and {"401", "403"} <= operation["responses"].keys()
        for path, operations in paths.items()
        for method, operation in operations.items()
        if method != "get" and not path.endswith("/infer") and path != "/v2/repository/index"
    }
    assert len(changing) == 8
    assert all(changing.values()), changing
    assert all("security" in paths[path]["get"] for path in ("/audit", "/audit/verify"))
