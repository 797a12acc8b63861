"""Tokens remembered, paced and looked up together; certificates and Ray's own token."""

import asyncio
import stat

import pytest

from mesh.cli.ray_token import ray_token
from mesh.errors import Forbidden, RateLimited, StoreAway, Unauthenticated
from mesh.records.bearer import KEPT_S, Bearers
from mesh.records.roles import held, role_named
from mesh.records.tokens import mint, revoked
from mesh.security.pace import MAX_CALLERS, Pace
from serve.access.certified import actor_of
from serve.access.gate import Asked, Gate
from serve.access.readers import Readers
from serve.graphql.access import Denied
from serve.http.certificate import PeerCertificate
from serve.oip.failures import retry_after, status_of


class Book:
    """Tokens in memory that counts who asks."""

    def __init__(self, expires_at: int | None = None) -> None:
        self.minted = mint("ann", "operator", "root", 0, expires_at)
        self.token, self.asked, self.clock, self.away = self.minted.token, 0, 100.0, False
        self.text = f"Bearer {self.minted.text}"

    async def find(self, identifier: str):
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise StoreAway("the database of records", "gone")
        return self.token if identifier == self.token.id else None

    def bearers(self) -> Bearers:
        return Bearers(self.find, clock=lambda: self.clock, now=lambda: int(self.clock * 1_000))


async def test_a_proved_token_is_not_looked_up_again_for_a_moment():
    book = Book()
    bearers = book.bearers()
    assert bearers.known(book.text) is None
    for _ in range(5):
        assert (await bearers.actor(book.text)).name == "ann"
    assert (book.asked, bearers.known(book.text).role) == (1, "operator")
    book.token = revoked(book.token, 1)
    book.clock += KEPT_S
    with pytest.raises(Unauthenticated, match="revoked"):
        await bearers.actor(book.text)


async def test_callers_of_one_token_wait_for_one_look_up():
    book = Book()
    bearers = book.bearers()
    first, *others = [asyncio.create_task(bearers.actor(book.text)) for _ in range(20)]
    await asyncio.sleep(0)
    first.cancel()  # whoever gives up does not end it for the others
    assert {actor.name for actor in await asyncio.gather(*others)} == {"ann"}
    assert book.asked == 1


async def test_a_token_is_not_remembered_beyond_its_end():
    book = Book(expires_at=100_500)
    bearers = book.bearers()
    await bearers.actor(book.text)
    book.clock += 0.4
    assert bearers.known(book.text) is not None
    book.clock += 0.2
    assert bearers.known(book.text) is None
    with pytest.raises(Unauthenticated, match="expired"):
        await bearers.actor(book.text)


async def test_guessing_is_slowed_down_and_known_tokens_pass_all_the_same():
    book = Book()
    bearers = book.bearers()
    await bearers.actor(book.text)
    outcomes = []
    for number in range(80):
        try:
            await bearers.actor(f"Bearer hsm_{number:012x}_{'x' * 43}")
        except (Unauthenticated, RateLimited) as error:
            outcomes.append(type(error).__name__)
    assert (outcomes.count("Unauthenticated"), outcomes.count("RateLimited")) == (49, 31)
    book.clock += KEPT_S
    assert (await bearers.actor(book.text)).name == "ann"


async def test_a_database_that_is_away_is_not_asked_for_every_request():
    book = Book()
    bearers = book.bearers()
    await bearers.actor(book.text)
    book.clock, book.away = book.clock + KEPT_S, True
    for _ in range(50):
        assert (await bearers.actor(book.text)).name == "ann"
    assert book.asked == 2


def test_a_bucket_refills_at_its_rate():
    pace = Pace(10.0, 5.0)
    assert [pace.take("a", 0.0) for _ in range(5)] == [0.0] * 5
    assert pace.take("a", 0.0) == pytest.approx(0.1)
    assert pace.take("b", 0.0) == 0.0
    assert (pace.take("a", 0.1), pace.take("a", 0.1)) == (0.0, pytest.approx(0.1))
    passed = sum(pace.take("c", n / 1_000) == 0.0 for n in range(10_000))
    assert 100 <= passed <= 106


def test_buckets_are_bounded():
    pace = Pace(1.0, 1.0)
    for number in range(MAX_CALLERS + 10):
        pace.take(str(number), number / 10)
    assert len(pace._buckets) <= MAX_CALLERS


async def test_one_token_may_not_ask_more_often_than_its_rate():
    book = Book()
    gate = Gate(book.bearers(), "all", "dana", pace=Pace(2.0, 2.0), clock=lambda: book.clock)
    await gate.admit_inference(book.text)
    await gate.admit_inference(book.text)
    with pytest.raises(RateLimited, match="MESH_RATE_LIMIT") as told:
        await gate.admit_inference(book.text)
    assert (retry_after(told.value), status_of(told.value).http) == (0.5, 429)
    await gate.admit_inference(None, "another")
    book.clock += 0.5
    await gate.admit_inference(book.text)


def asked(method="GET", headers=None, certificate=None) -> Asked:
    return Asked(
        method, "/alerts/x/ack", headers or {}, "10.0.0.7", listener_local=False, certificate=certificate
    )


async def test_a_certificate_is_an_actor_and_a_page_of_another_site_cannot_use_it():
    gate = Gate(Book().bearers(), "all", "dana")
    certificate = PeerCertificate("pump-7", ("acme", "mesh:analyst"), "0A")
    actor = await gate.admit(asked("POST", certificate=certificate))
    assert (actor.name, actor.role, actor.via) == ("pump-7", "analyst", "certificate:0A")
    crossed = {b"origin": b"https://evil.example", b"host": b"mesh.example"}
    with pytest.raises(Forbidden):
        await gate.admit(asked("POST", crossed, certificate))
    with pytest.raises(Unauthenticated):
        await gate.admit(asked("POST"))


@pytest.mark.parametrize(
    ("organizations", "role"),
    [
        ((), "viewer"),
        (("mesh:infer",), "viewer"),
        (("mesh:operate", "mesh:read"), "operator"),
        (("mesh:admin",), "admin"),
    ],
)
def test_organizations_give_roles(organizations, role):
    assert actor_of(PeerCertificate("a", organizations)).role == role


@pytest.mark.parametrize(
    "certificate", [PeerCertificate(""), PeerCertificate("a b"), PeerCertificate("a", ("mesh:root",))]
)
def test_a_certificate_that_cannot_be_an_actor_is_refused(certificate):
    with pytest.raises(Unauthenticated):
        actor_of(certificate)


def test_roles_include_those_before_and_have_other_words():
    assert held("operator") == ("viewer", "analyst", "operator")
    assert [role_named(word) for word in ("infer", "read", "operate", "admin", "root")] == [
        "viewer", "viewer", "operator", "admin", None
    ]  # fmt: skip


async def test_graphql_reads_the_header_or_what_connection_init_presents():
    book = Book()
    strict, free = (Readers(Gate(book.bearers(), access, "dana")) for access in ("all", "changes"))
    assert (await strict.admit({"authorization": book.text}, {})).name == "ann"
    assert (await strict.admit({}, {"Authorization": book.text})).name == "ann"
    assert (await free.admit({}, {})).name == ""
    for readers, presented in (
        (strict, {}),
        (strict, {"authorization": 7}),
        (free, {"authorization": "Bearer no"}),
    ):
        with pytest.raises(Denied):
            await readers.admit({}, presented)


async def test_graphql_takes_a_rate_or_a_database_that_is_away_for_no_fault_of_the_token():
    book = Book()
    readers = Readers(Gate(book.bearers(), "all", "dana", pace=Pace(1.0, 1.0), clock=lambda: book.clock))
    await readers.admit({}, {"authorization": book.text})
    with pytest.raises(RateLimited):
        await readers.admit({}, {"authorization": book.text})
    book = Book()
    book.away = True
    readers = Readers(Gate(book.bearers(), "all", "dana"))
    with pytest.raises(StoreAway):
        await readers.admit({"authorization": book.text}, {})


def test_rays_token_is_new_for_a_run_private_and_the_users_own_stands(tmp_path):
    added = ray_token({}, tmp_path)
    file = tmp_path / "ray-token"
    assert added == {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(file)}
    assert (len(file.read_text()), stat.S_IMODE(file.stat().st_mode)) == (64, 0o600)
    assert ray_token({"RAY_AUTH_MODE": "disabled"}, tmp_path) == {}
    assert ray_token({"RAY_AUTH_TOKEN": "own"}, tmp_path) == {"RAY_AUTH_MODE": "token"}
