"""What reviewing promises, over SQLite and PostgreSQL alike."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from mesh.alerts import Place
from mesh.errors import Forbidden, InvalidInput, NotFound, WrongState
from mesh.records.database import open_database
from mesh.records.entry import Actor
from mesh.records.transactions import Transactions
from mesh.review.facts import FactReader
from mesh.review.intake import AlertTimes
from mesh.review.labels import DatabaseLabels
from mesh.review.metering import ReviewGauges, ReviewMetering
from mesh.review.quality import quality
from mesh.review.queue import NothingWaits
from mesh.review.reasons import ReasonCode
from mesh.review.reviewing import reviewing
from mesh.review.rules import MINUTE_MS, QueueRules
from mesh.review.values import Prediction, Said
from mesh.review.view import QueueQuery
from mesh.telemetry.recorder import Recorder
from tests.fakes.reviewing import ANN, BEN, NOW, OLU, VIC, Desk, candidate, key

HOUR = 60 * MINUTE_MS


@pytest.fixture
def desk(database) -> Desk:
    return Desk(database)


def shown(desk: Desk, **query) -> list[str]:
    return [item.id for item in desk.view.page(QueueQuery(**query)).items]


def labels(desk: Desk, **named) -> list[tuple[str, str, str]]:
    page = DatabaseLabels(desk.database).labels(**named)
    return [(one.item, one.label, one.basis) for one in page.labels]


def test_an_item_is_taken_once_and_shown_as_it_was(desk):
    one = candidate(1, place=Place("raw", 2, 41), names=("a", "b"), features=(1.5, -2.0))
    assert (desk.add(one, one), desk.add(one)) == (1, 0)
    case = desk.cases.get(key(1), ANN)
    assert (case.item.prediction, case.item.place) == (one.prediction, one.place)
    assert (case.names, case.features.tolist()) == (("a", "b"), [1.5, -2.0])
    assert (case.item.state, case.blind, case.label, case.decisions) == ("open", False, None, ())


def test_the_most_urgent_comes_first_and_pages_follow_the_cursor(desk):
    desk.add(
        candidate(1, severity="info"),
        candidate(2, severity="critical"),
        candidate(3, criticality=5.0),
        candidate(4),
    )
    expected = [key(2), key(3), key(4), key(1)]
    first = desk.view.page(QueueQuery(limit=3))
    rest = desk.view.page(QueueQuery(limit=3, cursor=first.cursor))
    assert [item.id for item in first.items + rest.items] == expected
    assert (first.waiting, rest.cursor) == (4, None)
    with pytest.raises(InvalidInput, match="cursor: 'nan:x' is none"):
        desk.view.page(QueueQuery(cursor="nan:x"))
    assert [desk.next(Actor(f"p{n}", "analyst", "http")).id for n in range(4)] == expected


def test_two_people_never_hold_one_item(desk):
    desk.add(*(candidate(n) for n in range(6)))
    people = [Actor(f"p{n}", "analyst", "http") for n in range(6)]
    together = threading.Barrier(6)

    def take(person: Actor) -> str:
        together.wait()
        return desk.next(person).id

    with ThreadPoolExecutor(6) as pool:
        held = list(pool.map(take, people))
    assert len(set(held)) == 6
    with pytest.raises(NothingWaits):
        desk.next(ANN)
    with pytest.raises(WrongState, match="is held by p0"):
        desk.lease(held[0], ANN)
    assert desk.next(people[2]).id == held[2]  # who holds one gets it again


def test_a_lease_ends_and_may_be_renewed_or_given_back(desk):
    desk.add(candidate(1))
    desk.lease(key(1), ANN)
    desk.now += 4 * MINUTE_MS
    desk.lease(key(1), ANN)
    desk.now += 4 * MINUTE_MS
    with pytest.raises(WrongState, match="held by ann"):
        desk.lease(key(1), BEN)
    desk.now += 2 * MINUTE_MS
    desk.lease(key(1), BEN)
    with pytest.raises(WrongState, match="held by ben"):
        desk.decide(key(1), ANN)
    desk.change(desk.queue.release, key(1), BEN, desk.now)
    assert desk.lease(key(1), ANN).lease_by == "ann"
    assert desk.actions() == ["review.lease"] * 3 + ["review.release", "review.lease"]


def test_the_record_of_an_override_tells_everything(desk):
    desk.add(candidate(1))
    desk.lease(key(1), ANN)
    desk.now += 12_345
    done = desk.change(
        desk.decisions.decide, key(1), ANN, Said("override", reason="sensor-fault", note="stuck"),
        {"parts": ["signal"], "digest": "d1"}, desk.now,
    )  # fmt: skip
    one = done.decision
    assert (one.before, one.after, one.action, one.reason, one.note) == (
        "anomaly", "normal", "override", "sensor-fault", "stuck",
    )  # fmt: skip
    assert (one.model, one.version, one.rules) == ("anomaly", "3", "5f1c9a")
    assert (one.actor, one.role, one.seconds, one.undo_of) == ("ann", "analyst", 12.345, None)
    assert one.evidence == {"parts": ["signal"], "digest": "d1"}
    (_, entry) = list(desk.log.entries())
    assert (entry.action, entry.actor, entry.target) == ("review.override", "ann", f"review:{key(1)}")
    assert '"after":"normal"' in entry.detail


def test_an_override_is_no_label_until_a_second_person_agrees(desk):
    desk.add(candidate(1))
    desk.take_and_decide(key(1), ANN, "override", reason="known-behaviour")
    assert (labels(desk), desk.cases.get(key(1), BEN).item.state) == ([], "open")
    with pytest.raises(NothingWaits):
        desk.next(ANN)  # a person judges an item once
    assert desk.cases.get(key(1), BEN).decisions == ()  # nor sees what the other said
    desk.take_and_decide(key(1), BEN, "override", reason="known-behaviour")
    assert labels(desk) == [(key(1), "normal", "agreement")]
    assert desk.cases.get(key(1), BEN).item.state == "decided"


def test_people_who_differ_wait_for_an_operator(desk):
    desk.add(candidate(1))
    desk.take_and_decide(key(1), ANN, "override", reason="too-sensitive")
    desk.take_and_decide(key(1), BEN, "confirm")
    assert (labels(desk), shown(desk, state="disputed")) == ([], [key(1)])
    with pytest.raises(NothingWaits):
        desk.next(Actor("cy", "analyst", "http"))
    assert desk.next(OLU).id == key(1)
    assert len(desk.cases.get(key(1), OLU).decisions) == 2  # who settles it sees what was said
    desk.decide(key(1), OLU, "confirm")
    assert labels(desk) == [(key(1), "anomaly", "operator")]
    assert shown(desk) == []


def test_an_undo_excludes_and_never_deletes(desk):
    desk.add(candidate(1))
    first = desk.take_and_decide(key(1), OLU, "confirm").decision
    assert labels(desk) == [(key(1), "anomaly", "operator")]
    desk.now += 1_000
    undone = desk.undo(key(1), OLU).decision
    assert (undone.action, undone.undo_of, undone.before) == ("undo", first.id, "anomaly")
    assert (labels(desk), shown(desk)) == ([], [key(1)])
    (gone,) = DatabaseLabels(desk.database).labels(also_excluded=True).labels
    assert (gone.label, gone.excluded, gone.decisions) == ("anomaly", True, (first.id,))
    with pytest.raises(WrongState, match="takes no 'undo'"):
        desk.undo(key(1), OLU)
    desk.take_and_decide(key(1), OLU, "override", reason="missed")
    case = desk.cases.get(key(1), OLU)
    assert [one.action for one in case.decisions] == ["confirm", "undo", "override"]
    assert labels(desk) == [(key(1), "normal", "operator")]
    assert desk.log.verify().whole


def test_only_an_operator_undoes_what_another_said(desk):
    desk.add(candidate(1))
    said = desk.take_and_decide(key(1), ANN).decision
    with pytest.raises(Forbidden):
        desk.undo(key(1), BEN, decision=said.id)
    assert desk.undo(key(1), OLU, decision=said.id).item.state == "open"
    assert desk.next(ANN).id == key(1)  # and she may judge again


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE review_decisions SET note = 'x'",
        "DELETE FROM review_decisions",
        "DELETE FROM review_labels",
        "DELETE FROM review_items",
    ],
)
def test_the_database_refuses_to_forget(desk, statement):
    desk.add(candidate(1))
    desk.take_and_decide(key(1), OLU)
    with pytest.raises(DBAPIError, match="what was reviewed is kept"), desk.database.write() as session:
        session.execute(text(statement))


def test_a_decision_that_fails_changes_nothing(desk):
    desk.add(candidate(1))
    desk.lease(key(1), ANN)
    with pytest.raises(InvalidInput, match="reason: an override needs one"):
        desk.decide(key(1), ANN, "override")
    with pytest.raises(Forbidden):
        desk.decide(key(1), VIC)
    with pytest.raises(NotFound):
        desk.decide("nothing", ANN)
    assert desk.actions() == ["review.lease"]
    assert desk.decide(key(1), ANN).item.state == "decided"


def test_skip_tag_cannot_say_and_escalate(desk):
    desk.add(candidate(1), candidate(2, severity="info"))
    assert desk.next(ANN).id == key(1)
    assert desk.decide(key(1), ANN, "tag", tags=("bearing",)).item.lease_by == "ann"  # a tag keeps the lease
    desk.decide(key(1), ANN, "skip")
    assert desk.next(ANN).id == key(2)
    desk.decide(key(2), ANN, "cannot_say")
    with pytest.raises(NothingWaits):
        desk.next(ANN)
    desk.now += HOUR + 1
    assert desk.next(ANN).id == key(1)  # what was skipped comes back
    desk.decide(key(1), ANN, "escalate", note="smells")
    assert shown(desk, state="escalated") == [key(1)]
    assert desk.next(BEN).id == key(2)
    desk.decide(key(2), BEN, "cannot_say")
    assert (desk.cases.get(key(2), BEN).item.state, labels(desk)) == ("decided", [])
    assert desk.next(OLU).id == key(1)
    desk.decide(key(1), OLU, "confirm")
    assert labels(desk) == [(key(1), "anomaly", "operator")]


def test_alerts_of_one_incident_are_one_item_in_the_queue(desk):
    mine = [candidate(n, asset="pump-1", row_time=NOW + n * MINUTE_MS) for n in range(4)]
    desk.add(*mine, candidate(9, asset="pump-1", row_time=NOW + 5 * HOUR), candidate(7))
    assert len(shown(desk)) == 3
    assert desk.view.page(QueueQuery()).waiting == 6
    case = desk.cases.get(key(0), ANN)
    assert (case.incident_items, len(case.siblings)) == (4, 3)
    head = next(one for one in shown(desk, asset="pump-1") if one != key(9))
    desk.take_and_decide(head, ANN)
    assert len(shown(desk, asset="pump-1")) == 2  # the next of the incident took its place


def test_bulk_decides_what_is_free_and_can_be_undone_whole(desk):
    mine = [candidate(n, asset="pump-1", row_time=NOW + n * MINUTE_MS) for n in range(4)]
    desk.add(*mine, candidate(5, "audit", asset="pump-1"))
    incident = desk.cases.get(key(0), ANN).item.incident
    desk.lease(key(2), BEN)
    done = desk.bulk(incident, OLU, "override", reason="maintenance", note="planned stop")
    assert ({one.item.id for one in done.decided}, done.left_out) == (
        {key(0), key(1), key(3)}, {key(2): "held by ben"},
    )  # fmt: skip
    assert len(labels(desk)) == 3
    assert desk.actions()[-1] == "review.bulk"
    with pytest.raises(Forbidden):
        desk.change(desk.decisions.undo_bulk, done.id, ANN, desk.now)
    desk.change(desk.decisions.undo_bulk, done.id, OLU, desk.now)
    assert (labels(desk), desk.view.page(QueueQuery()).waiting) == ([], 5)
    with pytest.raises(NotFound):
        desk.change(desk.decisions.undo_bulk, done.id, OLU, desk.now)


def test_an_asset_fills_neither_the_view_nor_peoples_hands(database):
    desk = Desk(database, QueueRules(per_asset=2, incident_ms=0))
    noisy = [candidate(n, asset="pump-1", severity="critical") for n in range(5)]
    desk.add(*noisy, candidate(8), candidate(9))
    assert (len(shown(desk)), len(shown(desk, asset="pump-1"))) == (4, 5)
    assets = [desk.next(Actor(f"p{n}", "analyst", "http")).asset for n in range(5)]
    assert assets == ["pump-1", "pump-1", "pump-9", "pump-8", "pump-1"]  # rather than nothing


def test_the_audit_is_blind_unpicked_and_judged_twice(database):
    chosen = [0.5]
    desk = Desk(database, draw=lambda: chosen[0])
    desk.add(candidate(1), *(candidate(n, "audit", twice=n == 2) for n in (2, 3)))
    with pytest.raises(WrongState, match="nobody picks"):
        desk.lease(key(2, "audit"), ANN)
    assert desk.next(ANN).id == key(1)
    desk.decide(key(1), ANN)
    chosen[0] = 0.01
    first = desk.next(ANN)
    assert (first.source, desk.cases.get(first.id, ANN).blind) == ("audit", True)
    with pytest.raises(InvalidInput, match="use 'judge'"):
        desk.decide(first.id, ANN, "confirm")
    done = desk.decide(first.id, ANN, "judge", label="normal").decision
    assert (done.action, done.after, done.blind) == ("override", "normal", True)
    assert not desk.cases.get(first.id, ANN).blind
    assert desk.cases.get(first.id, BEN).blind


def test_what_is_looked_at_after_an_undo_was_not_blind(desk):
    desk.add(candidate(2, "audit"))
    desk.take_and_decide(key(2, "audit"), ANN, "judge", label="anomaly")
    desk.undo(key(2, "audit"), ANN)
    again = desk.take_and_decide(key(2, "audit"), ANN, "confirm").decision
    assert (again.blind, again.after) == (False, "anomaly")
    (row,) = FactReader(desk.database).read(0, 2 * NOW, NOW).audit
    assert row.label is None


def test_similar_cases_are_the_nearest_decided_ones(desk):
    for n in range(6):
        desk.add(candidate(n, names=("x", "y"), features=(float(n), 10.0 * n)))
        if n:
            desk.take_and_decide(key(n), OLU, "confirm" if n < 3 else "override", reason="missed")
    found = desk.cases.get(key(0), ANN).similar
    assert [one.item for one in found[:2]] == [key(1), key(2)]
    assert (found[0].label, found[0].distance < found[1].distance) == ("anomaly", True)


def test_figures_come_from_the_records(desk):
    sure = Prediction(False, 0.1, 0.8, 0.9, "anomaly", "3")
    desk.add(
        candidate(1, since=NOW - 61_000),
        candidate(2),
        *(candidate(n, "audit", inclusion=0.5) for n in (3, 4)),
        *(candidate(n, "audit", inclusion=0.01, prediction=sure, twice=n < 7) for n in range(5, 10)),
    )
    desk.take_and_decide(key(1), OLU)
    desk.take_and_decide(key(2), OLU, "override", reason="known-behaviour")
    for n in (3, 4):
        desk.take_and_decide(key(n, "audit"), ANN, "judge", label="anomaly" if n == 3 else "normal")
    for n in range(5, 9):
        desk.take_and_decide(key(n, "audit"), ANN, "judge", label="anomaly" if n == 8 else "normal")
    for n in (5, 6):
        desk.take_and_decide(key(n, "audit"), BEN, "judge", label="normal")
    desk.alerts(AlertTimes("alert-1", NOW + 5_000, NOW + 65_000))
    told = quality(FactReader(desk.database).read(0, 2 * NOW, NOW + HOUR * 48), 1)
    assert told.rates_by_model == {"anomaly": told.rates}
    # flagged: 2 drawn at 0.5, one right; unflagged: 5 at 0.01, of 4 judged one wrong, each stands for 125 rows
    assert told.rates.tpr.value == pytest.approx(2 / 127)
    assert told.rates.fpr.value == pytest.approx(2 / 377)
    assert (told.rates.drawn, told.rates.judged) == (7, 6)
    assert (told.agreement.units, told.agreement.observed) == (2, 1.0)
    assert told.overrides.value == 0.5
    assert set(told.overrides_by_model) == {"anomaly@3"}
    assert set(told.overrides_by_person) == {"olu"}
    assert (told.repair.mean, told.detection.mean) == (60.0, 60.0)
    assert told.budget.most == 2


def test_labels_are_paged_with_their_weights(desk):
    desk.add(candidate(1), candidate(2, "audit", inclusion=0.02, place=Place("raw", 1, 7)), candidate(3))
    for n, source in ((1, "alert"), (2, "audit"), (3, "alert")):
        desk.now += 1
        action = {"action": "judge", "label": "normal"} if source == "audit" else {"action": "confirm"}
        desk.take_and_decide(key(n, source), OLU, **action)
    reader = DatabaseLabels(desk.database)
    first = reader.labels(limit=2)
    rest = reader.labels(limit=2, cursor=first.cursor)
    weights = {one.item: one.weight for one in first.labels + rest.labels}
    assert weights == {key(1): 1.0, key(2, "audit"): 50.0, key(3): 1.0}
    assert (first.labels[1].place, rest.cursor) == (Place("raw", 1, 7), None)
    assert [one.item for one in reader.labels(since=NOW + 3).labels] == [key(3)]
    with pytest.raises(InvalidInput, match="cursor"):
        reader.labels(cursor="x")


def test_everything_is_there_after_a_restart(desk, database_url):
    desk.add(candidate(1), candidate(2))
    desk.take_and_decide(key(1), OLU)
    desk.lease(key(2), ANN)
    desk.database.close()
    again = Desk(open_database(database_url))
    try:
        assert labels(again) == [(key(1), "anomaly", "operator")]
        with pytest.raises(WrongState, match="held by ann"):
            again.lease(key(2), BEN)
    finally:
        again.database.close()


def test_an_alerts_item_is_told_what_became_of_it(desk):
    desk.add(replace(candidate(1), alert="a1"))
    desk.alerts(AlertTimes("a1", acknowledged_at=NOW + 5), AlertTimes("unknown", NOW, NOW))
    item = desk.cases.get(key(1), ANN).item
    assert (item.acknowledged_at, item.resolved_at) == (NOW + 5, None)


def test_voices_that_come_later_raise_the_urgency_of_an_open_item(desk):
    first = candidate(1, prediction=Prediction(True, 0.9, 0.8, 0.95, "anomaly", "3", voices={"anomaly": 0.9}))
    heard = replace(first, prediction=replace(first.prediction, voices={"degrader": 0.2}))
    desk.add(first, candidate(2, prediction=Prediction(True, 0.9, 0.8, 0.8)))
    assert shown(desk) == [key(2), key(1)]
    assert desk.add(heard) == 0
    assert shown(desk) == [key(1), key(2)]
    item = desk.cases.get(key(1), ANN).item
    assert dict(item.prediction.voices) == {"anomaly": 0.9, "degrader": 0.2}
    desk.take_and_decide(key(1), OLU)
    desk.add(replace(first, prediction=replace(first.prediction, voices={"third": 0.1})))
    assert "third" not in desk.cases.get(key(1), ANN).item.prediction.voices


def test_the_view_holds_few_of_an_asset_on_every_page_and_under_every_filter(database):
    desk = Desk(database, QueueRules(per_asset=2, incident_ms=0))
    desk.add(*(candidate(n, asset="pump-x") for n in range(5)))
    desk.add(*(candidate(n, asset="pump-y", severity="info") for n in range(5, 8)))
    desk.add(*(candidate(n, "audit", asset="pump-x") for n in range(3)))
    first = desk.view.page(QueueQuery(limit=3))
    rest = desk.view.page(QueueQuery(limit=3, cursor=first.cursor))
    seen = [(item.asset, item.source) for item in (*first.items, *rest.items)]
    assert seen == [("pump-x", "alert")] * 2 + [("pump-y", "alert")] * 2
    assert (first.waiting, rest.cursor) == (11, None)
    assert [item.source for item in desk.view.page(QueueQuery(source="audit")).items] == ["audit"] * 2
    assert len(shown(desk, asset="pump-x")) == 8
    assert len(shown(desk, asset="pump-x", source="alert", state="open")) == 5


def test_reasons_and_limits_are_those_of_the_rules(database):
    rules = QueueRules(reasons=(ReasonCode("noise", "Noise", note=True),), bulk=2, incident_ms=HOUR)
    desk = Desk(database, rules)
    desk.add(*(candidate(n, asset="pump-x") for n in range(4)))
    with pytest.raises(InvalidInput, match="reason: 'missed' is none; there are: noise"):
        desk.take_and_decide(key(0), ANN, "override", reason="missed")
    with pytest.raises(InvalidInput, match="note: say what it is"):
        desk.take_and_decide(key(0), ANN, "override", reason="noise")
    incident = desk.cases.get(key(0), ANN).item.incident
    assert len(desk.bulk(incident, BEN).decided) + len(desk.bulk(incident, OLU).left_out) >= 2


async def test_what_people_do_and_how_the_queue_stands_are_metrics(desk):
    recorder = Recorder()
    metering = ReviewMetering(recorder)
    desk.add(*(candidate(n) for n in range(4)), candidate(9, "audit", twice=True))
    desk.lease(key(0), ANN)
    desk.now += 7_000
    made = [
        desk.decide(key(0), ANN, "override", reason="sensor-fault"),
        desk.take_and_decide(key(1), OLU, "confirm"),
        desk.take_and_decide(key(9, "audit"), ANN, "judge", label="anomaly"),
        desk.take_and_decide(key(9, "audit"), BEN, "judge", label="anomaly"),
    ]
    metering.decided(made)
    transactions = Transactions(desk.database)
    parts = reviewing(desk.database)
    gauges = ReviewGauges(parts, transactions, metering)
    await gauges.look(figures=False)
    metering.figures(quality(parts.facts.read(0, 2 * NOW, NOW), 1))
    await transactions.close()
    told = recorder.snapshot()
    assert told.counters["mesh_review_decisions_total"] == {
        ("override", "anomaly"): 1, ("confirm", "anomaly"): 3,
    }  # fmt: skip
    assert told.counters["mesh_review_overrides_total"] == {("sensor-fault", "anomaly"): 1}
    assert told.histograms["mesh_review_decision_seconds"][()].total == 7.0
    assert told.gauges["mesh_review_items"] == {("open",): 3, ("escalated",): 0, ("disputed",): 0}
    assert told.gauges["mesh_review_overdue_items"][()] == 3
    assert told.gauges["mesh_review_override_ratio"][()] == 0.5
    assert told.gauges["mesh_review_agreement_ratio"] == {("ac1",): 1.0}
