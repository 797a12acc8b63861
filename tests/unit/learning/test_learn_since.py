"""What counts as new: labels after everything that was already made of the champion, however that ended."""

from dataclasses import replace

import numpy as np
import pytest
from feedback_made import NOW, PLAN, bench, history, label

from mesh.learning.feedback.labels import MemoryLabels
from mesh.learning.online.logistic import Belief
from mesh.learning.online.recalibrate import belief_bytes
from mesh.learning.plan import UpdatePolicy
from mesh.learning.since import last_training, update_due
from mesh.registry import Draft, GateResult, Lineage

ROWS = history()[0].rows
PASSED, FAILED = (GateResult("labels", outcome, None, None, "") for outcome in ("passed", "failed"))
UPTO, MADE = NOW - 1_000, NOW - 700
"""The champion learned from the older labels up to `UPTO`; those until `MADE` were held out."""


class Plant:
    """A registry with a champion, and labels that come one by one."""

    def __init__(self, folder):
        plan = replace(PLAN, update=UpdatePolicy(labels=3))
        self.labels = MemoryLabels()
        self.bench, _ = bench(folder, self.labels, None, plan)
        self.registry = self.bench.registry
        self.made("retrained", MADE, None)
        self.registry.move("pumps", "champion", 1, expected=None, actor="ann", reason="")

    def made(self, origin, at, parent, gate=PASSED):
        calibration = belief_bytes(Belief(np.zeros(2), np.eye(2)), 1.0, UPTO)
        files = {"model.onnx": b"", "calibration.npz": calibration}
        draft = Draft("pumps", origin, files, "", Lineage(parent=parent), (gate,), at, "ann")
        return self.registry.add(draft).number

    def settled(self, *times):
        for at in times:
            self.labels.add(replace(label(at, ROWS, 0, "anomalous", "ann", "bob"), decided_ms=at))

    def due(self, now=NOW):
        return update_due(self.bench, now)


@pytest.fixture
def plant(tmp_path):
    return Plant(tmp_path)


def test_labels_that_were_held_out_of_the_champion_are_not_new(plant):
    plant.settled(UPTO + 1, UPTO + 2, MADE - 1, MADE, NOW - 2)
    assert not plant.due()
    plant.settled(NOW - 1)
    assert plant.due()


@pytest.mark.parametrize("gate", [PASSED, FAILED])
@pytest.mark.parametrize("origin", ["updated", "retrained"])
def test_what_a_version_was_made_of_makes_no_other_whatever_became_of_it(plant, origin, gate):
    plant.settled(NOW - 600, NOW - 599, NOW - 598)
    assert plant.due()
    plant.made(origin, NOW - 500, 1, gate)
    assert not plant.due()
    assert not plant.due(NOW + 10 * 86_400_000)  # however long nobody says anything
    plant.settled(NOW - 400, NOW - 399)
    assert not plant.due()
    plant.settled(NOW - 398)
    assert plant.due()


def test_the_newest_of_several_counts_and_those_of_another_champion_do_not(plant):
    plant.settled(NOW - 600, NOW - 599, NOW - 598)
    child = plant.made("updated", NOW - 500, 1)
    plant.made("updated", NOW - 100, child)
    plant.settled(NOW - 400, NOW - 399, NOW - 398)
    assert plant.due()
    plant.made("updated", NOW - 300, 1)
    assert not plant.due()


def test_a_champion_that_went_back_has_its_tries_still(plant):
    plant.settled(NOW - 600, NOW - 599, NOW - 598)
    child = plant.made("updated", NOW - 500, 1)
    plant.registry.move("pumps", "champion", child, expected=1, actor="ann", reason="")
    assert not plant.due()
    plant.registry.move("pumps", "champion", 1, expected=child, actor="ann", reason="worse")
    assert not plant.due()


def test_the_last_training_is_the_newest_trained_version_also_one_that_failed(plant):
    plant.made("retrained", NOW - 500, 1, FAILED)
    plant.made("updated", NOW - 400, 1)
    assert last_training(plant.bench) == NOW - 500
