"""From labels to a version: what passes, what a gate stops, and what a person who flips everything brings about."""

from dataclasses import replace

import pytest
from feedback_made import NOW, PLAN, bench, history, label, labels, trial

from mesh.errors import InvalidInput, WrongState
from mesh.learning.bench import candidate_of
from mesh.learning.feedback.labels import MemoryLabels, Vote
from mesh.learning.learn import retrain, update

HISTORY, _, _ = history()
ROWS = HISTORY.rows


def made(tmp_path, told, past=HISTORY, plan=PLAN):
    return bench(tmp_path, MemoryLabels(told), past, plan)


def gate(learned, name):
    return next(one for one in learned.gates if one.gate == name)


def test_a_training_leaves_a_version_with_its_origins_and_makes_it_challenger(tmp_path):
    shop, audit = made(tmp_path, labels(ROWS))
    learned = retrain(shop, "ann", NOW)
    version = learned.version
    assert learned.passed
    assert learned.challenger
    assert [one.outcome for one in learned.gates] == ["passed"] * 8
    assert version.lineage.labels == tuple(f"l-{at}" for at in range(56))  # the newest 30 % are held out
    assert version.lineage.offsets == {f"raw-{at}": (at, 52 + at) for at in range(4)}
    assert version.features == shop.layout.digest
    assert shop.registry.aliases("pumps").points == {"challenger": 1}
    assert [(one.subject, one.after.split()[1]) for one in audit.entries] == [("pumps@challenger", "1")]
    served = candidate_of(shop.registry, version)
    for one in trial().faulty:
        assert (served.scores(one.flat) >= PLAN.threshold).mean() > 0.9


def test_the_same_labels_and_history_give_the_same_model(tmp_path):
    first, second = (
        retrain(made(tmp_path / name, labels(ROWS))[0], "ann", NOW).version for name in ("a", "b")
    )
    assert first.digest == second.digest


def test_nobody_but_a_person_moves_the_champion(tmp_path):
    shop, _ = made(tmp_path, labels(ROWS))
    retrain(shop, "ann", NOW)
    shop.registry.move("pumps", "champion", 1, expected=None, actor="ann", reason="")
    retrain(shop, "ann", NOW)
    update(shop, "ann", NOW + 1)
    assert shop.registry.aliases("pumps").points["champion"] == 1


def test_an_update_learns_only_what_is_new_and_is_a_version_too(tmp_path):
    told = labels(ROWS, 80)
    shop, _ = made(tmp_path, told[:60])
    first = retrain(shop, "ann", NOW).version
    with pytest.raises(WrongState, match="without a champion"):
        update(shop, "ann", NOW)
    shop.registry.move("pumps", "champion", 1, expected=None, actor="ann", reason="")
    shop, _ = made(tmp_path, labels(ROWS, 100))
    second = update(shop, "ann", NOW).version
    assert second.origin == "updated"
    assert second.lineage.parent == 1
    assert not set(first.lineage.labels) & set(second.lineage.labels)
    assert second.files["calibration.npz"] != first.files["calibration.npz"]
    assert second.files["ensemble.npz"] == first.files["ensemble.npz"]


def test_one_person_who_labels_everything_alone_is_stopped(tmp_path):
    shop, audit = made(tmp_path, labels(ROWS, people=("mallory",), flip=True))
    learned = retrain(shop, "mallory", NOW)
    assert learned.version is None
    (result,) = learned.gates
    assert result.gate == "feedback"
    assert "80 of 80 labels rest on mallory alone: 100%, 30% more than allowed" in result.detail
    assert "1 person labelled, 2 are needed" in result.detail
    assert shop.registry.numbers("pumps") == []
    assert audit.entries == []


def test_a_person_who_contradicts_the_others_is_left_out_and_training_goes_on(tmp_path):
    honest = labels(ROWS, 80)
    seen_twice = [
        replace(
            one, votes=(*one.votes, Vote("mallory", "normal" if one.verdict == "anomalous" else "anomalous"))
        )
        if at < 12
        else one
        for at, one in enumerate(honest)
    ]
    alone = [
        replace(one, id=f"m-{at}", votes=(Vote("mallory", one.verdict),))
        for at, one in enumerate(labels(ROWS, 40, flip=True))
    ]
    shop, _ = made(tmp_path, [*seen_twice, *alone])
    learned = retrain(shop, "ann", NOW)
    assert learned.passed
    assert not [one for one in learned.version.lineage.labels if one.startswith("m-")]
    assert (
        "40 left out: rests on mallory alone: agrees with the others on 0 of 12 items"
        in gate(learned, "feedback").detail
    )


def test_when_all_conspire_the_labels_contradict_the_model(tmp_path):
    shop, _ = made(tmp_path, labels(ROWS, 80, flip=True))
    learned = retrain(shop, "mallory", NOW)
    assert not learned.passed
    assert learned.version is None
    assert "56 labels turn the calibration round" in gate(learned, "calibration").detail
    assert not shop.registry.aliases("pumps").points


def test_faults_called_normal_by_all_fail_the_benchmark(tmp_path):
    honest = labels(ROWS, 60)
    shop, _ = made(tmp_path, honest)
    retrain(shop, "ann", NOW)
    shop.registry.move("pumps", "champion", 1, expected=None, actor="ann", reason="")
    bad = [at for at, name in enumerate(ROWS.entities) if name.startswith("bad-")]
    denied = [label(200 + n, ROWS, row, "normal", "mallory", "trudy") for n, row in enumerate(bad)]
    shop, _ = made(tmp_path, denied)
    learned = retrain(shop, "mallory", NOW)
    assert not learned.passed
    assert "short of" in gate(learned, "benchmark-found").detail
    assert shop.registry.aliases("pumps").points["champion"] == 1


def test_a_gate_says_by_how_much(tmp_path):
    plan = replace(PLAN, gates=replace(PLAN.gates, latency_ms=1e-6, least_found=1.25))
    shop, _ = made(tmp_path, labels(ROWS), plan=plan)
    learned = retrain(shop, "ann", NOW)
    assert not learned.passed
    assert not learned.challenger
    assert "too slow" in gate(learned, "latency").detail
    assert learned.version.failures
    assert "finds 1.000 of faults, 0.25 short of 1.250 needed" in gate(learned, "benchmark-found").detail


def test_windows_that_are_not_in_the_history_are_named_and_too_few_are_refused(tmp_path):
    told = labels(ROWS)
    told[0] = replace(told[0], end_ms=told[0].end_ms + 1)
    told[1] = replace(told[1], shown_ms=told[1].end_ms - 1)  # shown before its features were known
    shop, _ = made(tmp_path, told)
    learned = retrain(shop, "ann", NOW)
    assert learned.missing == 2
    assert "l-0" not in learned.version.lineage.labels
    shop, _ = made(tmp_path, [], past=None)
    with pytest.raises(InvalidInput, match=r"too few.*set replay\.simulated"):
        retrain(shop, "ann", NOW)
