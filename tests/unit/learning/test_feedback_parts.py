"""Agreement, replay, labels on file, the online calibration and the stored ensemble."""

from dataclasses import replace

import numpy as np
import pytest
from anomaly_windows import LAYOUT, healthy
from feedback_made import NOW, history, labels
from sklearn.linear_model import LogisticRegression, SGDClassifier

from mesh.errors import ArtifactError, InvalidInput
from mesh.learning.anomaly.export import score_onnx, to_onnx_bytes
from mesh.learning.anomaly.stored import ensemble_bytes, read_ensemble
from mesh.learning.anomaly.train import train
from mesh.learning.feedback.guard import ac1, trusted
from mesh.learning.feedback.label_file import read_labels, write_labels
from mesh.learning.feedback.labels import MemoryLabels, Vote
from mesh.learning.feedback.replay import ReplayBuffer
from mesh.learning.feedback.training_set import replayed
from mesh.learning.online.incremental import Incremental
from mesh.learning.online.logistic import Belief, OnlineLogistic
from mesh.learning.online.recalibrate import Contradicted, prior, recalibrated, scaled, surprise_of
from mesh.learning.plan import FeedbackPolicy, ReplayPolicy, UpdatePolicy

HISTORY, _, _ = history()
LABELS = labels(HISTORY.rows)
POLICY = FeedbackPolicy()


def test_ac1_is_what_one_can_work_out():
    # Two people, 10 items: 8 agree on normal, 1 on anomalous, 1 apart: p_a 0.9, q 0.15, p_e 0.255.
    votes = [("normal", "normal")] * 8 + [("anomalous", "anomalous"), ("normal", "anomalous")]
    told = [
        replace(LABELS[at], votes=(Vote("a", one), Vote("b", other))) for at, (one, other) in enumerate(votes)
    ]
    assert ac1(told, 5) == pytest.approx((0.9 - 0.255) / (1 - 0.255))
    assert ac1(told[:4], 5) is None


def test_people_who_disagree_altogether_stop_a_training():
    told = [
        replace(
            one,
            votes=(
                Vote("a", "normal"),
                Vote("b", "anomalous" if at % 2 else "normal"),
                Vote("c", "normal" if at % 3 else "anomalous"),
            ),
        )
        for at, one in enumerate(LABELS[:40])
    ]
    assert any(
        "people disagree: AC1 is" in one for one in trusted(told, replace(POLICY, agreement=0.6)).problems
    )


def test_one_who_overrules_everybody_is_left_out_with_all_that_rests_on_that_one():
    """An operator may settle an item alone; the votes of those who were overruled tell on it."""
    agreed = [replace(one, votes=(Vote("ann", one.verdict), Vote("bob", one.verdict))) for one in LABELS[:20]]
    overruled = [
        replace(
            one,
            votes=(
                Vote("ann", "normal" if one.verdict == "anomalous" else "anomalous"),
                Vote("eve", one.verdict),
            ),
        )
        for one in LABELS[20:30]
    ]
    alone = [replace(one, votes=(Vote("eve", one.verdict),)) for one in LABELS[30:50]]
    judged = trusted([*agreed, *overruled, *alone], POLICY)
    assert judged.labels == tuple(agreed)
    assert set(judged.left_out) == {one.id for one in (*overruled, *alone)}
    assert set(judged.left_out.values()) == {"rests on eve alone: agrees with the others on 0 of 10 items"}
    assert (judged.problems, judged.people) == ((), 2)


def test_the_order_of_offers_and_repeats_do_not_matter():
    rows = HISTORY.rows
    whole, parts = ReplayBuffer(100, 3), ReplayBuffer(100, 3)
    whole.offer(rows)
    for begin in range(len(rows) - 1, -1, -97):
        parts.offer(rows.take(np.arange(max(0, begin - 96), begin + 1)))
    parts.offer(rows.take(np.arange(50)))
    assert whole.rows.entities == parts.rows.entities
    assert np.array_equal(whole.rows.event_time, parts.rows.event_time)
    assert len(whole.rows) == 100


def test_the_sample_is_even():
    rows = HISTORY.rows
    counts = np.zeros(len(rows))
    for seed in range(300):
        buffer = ReplayBuffer(124, seed)
        buffer.offer(rows)
        found = {key: at for at, key in enumerate(zip(rows.entities, rows.event_time.tolist(), strict=True))}
        for key in zip(buffer.rows.entities, buffer.rows.event_time.tolist(), strict=True):
            counts[found[key]] += 1
    expected = 300 * 124 / len(rows)
    # A chi-square of 2,119 degrees of freedom stays below 2,330 with probability 0.999.
    assert ((counts - expected) ** 2 / (expected * (1 - 124 / len(rows)))).sum() < 2_330


def test_the_replay_leaves_out_what_people_called_anomalous():
    kept = replayed(HISTORY, LABELS, ReplayPolicy(windows=10_000), LAYOUT, 1, NOW).rows
    bad = {(one.asset, one.end_ms) for one in LABELS if one.verdict == "anomalous"}
    assert bad
    assert not bad & set(zip(kept.entities, kept.event_time.tolist(), strict=True))


def test_labels_on_file_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "labels.jsonl"
    write_labels(path, MemoryLabels(LABELS))
    assert read_labels(path).decided(0, NOW) == LABELS
    assert read_labels(tmp_path / "none").decided(0, NOW) == []
    path.write_text(path.read_text() + '{"id": 3}\n')
    with pytest.raises(InvalidInput, match=r"labels\.jsonl:81: .*id"):
        read_labels(path)
    path.write_text(path.read_text().splitlines()[0].replace('"weight":1.0', '"weight":0.5') + "\n")
    with pytest.raises(InvalidInput, match="weight must be 1 or more"):
        read_labels(path)


def test_an_undone_label_is_none():
    told = MemoryLabels(LABELS)
    told.undo("l-3")
    assert len(told.decided(0, NOW)) == len(LABELS) - 1


def drawn(count: int, seed: int = 4) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    surprise = draw.exponential(3.0, count)
    return surprise, draw.random(count) < 1 / (1 + np.exp(-(1.2 * surprise - 6.0)))


def test_batch_after_batch_comes_to_what_all_at_once_gives():
    surprise, truth = drawn(4_000)
    online = OnlineLogistic(Belief(np.zeros(2), 1e-6 * np.eye(2)))
    for begin in range(0, 4_000, 200):
        some = slice(begin, begin + 200)
        online.partial_fit(surprise[some, None], truth[some], sample_weight=np.ones(200))
    whole = LogisticRegression(C=1e9).fit(surprise[:, None], truth)
    assert online.belief.mean == pytest.approx([whole.coef_[0, 0], whole.intercept_[0]], abs=0.25)
    at_once = OnlineLogistic(Belief(np.zeros(2), 1e-6 * np.eye(2))).partial_fit(
        surprise[:, None], truth, sample_weight=np.ones(4_000)
    )
    assert at_once.belief.mean == pytest.approx([whole.coef_[0, 0], whole.intercept_[0]], abs=1e-3)


@pytest.mark.parametrize(
    "model", [OnlineLogistic(Belief(np.zeros(2), np.eye(2))), SGDClassifier(loss="log_loss", random_state=1)]
)
def test_what_learns_a_few_rows_at_a_time_does_so_by_one_method(model):
    surprise, truth = drawn(400)
    one: Incremental = model
    if isinstance(model, SGDClassifier):
        model.partial_fit(surprise[:2, None], truth[:2], classes=[False, True])
    fitted = one.partial_fit(surprise[:, None], truth, sample_weight=np.ones(400))
    ask = getattr(fitted, "decision_function", None) or fitted.probability
    low, high = ask(np.array([[0.0], [12.0]])).ravel()
    assert low < high


def test_a_sample_that_was_not_even_is_weighted():
    surprise, truth = drawn(20_000)
    shown = truth | (np.random.default_rng(7).random(20_000) < 0.05)
    weight = np.where(truth, 1.0, 20.0)[shown]
    belief = Belief(np.zeros(2), 1e-6 * np.eye(2))
    weighted = (
        OnlineLogistic(belief).partial_fit(surprise[shown, None], truth[shown], sample_weight=weight).belief
    )
    assert weighted.mean == pytest.approx([1.2, -6.0], rel=0.15)


@pytest.fixture(scope="module")
def ensemble():
    return train(healthy(40, 40), 1).ensemble


def test_the_threshold_follows_the_costs(ensemble):
    surprise, truth = drawn(4_000)
    cheap, dear = (
        recalibrated(ensemble, prior(0.998, policy), 1.0, surprise, truth, np.ones(4_000), policy)
        for policy in (UpdatePolicy(miss=2, most=10), UpdatePolicy(miss=100, most=10))
    )
    assert cheap.worth > dear.worth
    assert cheap.factor < dear.factor
    # Where P(anomalous) is 1/3, which a false alarm at half a miss makes worth an alert: 1.2 u - 6 = ln(1/2).
    assert cheap.worth == pytest.approx((6 + np.log(1 / 2)) / 1.2, rel=0.1)


def test_false_alarms_make_the_model_calmer_and_nothing_near_leaves_it_as_it_is(ensemble):
    policy, limit = UpdatePolicy(), -np.log(1 - 0.998)
    draw = np.random.default_rng(3)
    far = np.r_[draw.uniform(0, 2, 40), draw.uniform(15, 25, 10)]
    truth = far > 10
    weight = np.where(truth, 1.0, 20.0)
    still = recalibrated(ensemble, prior(0.998, policy), 1.0, far, truth, weight, policy)
    assert still.factor == pytest.approx(1.0)
    false = np.r_[far, draw.uniform(limit, 9, 30)]
    calm = recalibrated(
        ensemble, prior(0.998, policy), 1.0, false, false > 10, np.r_[weight, np.ones(30)], policy
    )
    assert calm.factor < 0.9
    assert limit < calm.worth <= 9


def test_one_update_goes_no_further_than_it_may(ensemble):
    surprise, truth = drawn(4_000)
    policy = UpdatePolicy(miss=1e6, most=1.2)
    assert (
        recalibrated(ensemble, prior(0.998, policy), 1.2, surprise, truth, np.ones(4_000), policy).factor
        == 1.2 * 1.2
    )
    with pytest.raises(Contradicted, match="4000 labels turn the calibration round"):
        recalibrated(ensemble, prior(0.998, policy), 1.0, surprise, ~truth, np.ones(4_000), policy)


def test_a_scaled_ensemble_says_so_in_float32_as_in_float64(ensemble):
    windows = healthy(10, 20, 8)
    calmer = scaled(ensemble, 0.7)
    exact = calmer.judge(windows.values).score
    assert np.abs(score_onnx(to_onnx_bytes(calmer, "a"), windows.flat).score - exact).max() < 1e-4
    assert surprise_of(exact) == pytest.approx(
        0.7 * surprise_of(ensemble.judge(windows.values).score), abs=1e-9
    )


def test_a_stored_ensemble_is_the_same(ensemble):
    again = read_ensemble(ensemble_bytes(ensemble))
    values = healthy(5, 20, 3).values
    assert np.array_equal(again.judge(values).score, ensemble.judge(values).score)
    assert again.threshold == ensemble.threshold
    with pytest.raises(ArtifactError, match="no stored ensemble"):
        read_ensemble(b"junk")
