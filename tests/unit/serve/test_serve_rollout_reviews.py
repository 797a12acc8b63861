"""What people said of two models between two looks, as evidence of a rollout's arms."""

from mesh.review.heard import Heard
from mesh.rollouts.plan import AlertRule, Plan, Step
from mesh.rollouts.tally import Counted
from serve.rollout_reviews import observations_of

PLAN = Plan("try", "default", "pump@1", "pump@2", AlertRule(0.8), (Step("canary"), Step("promote")), ())


def test_who_takes_an_override_back_and_confirms_leaves_one_hit_less_in_as_many_trials() -> None:
    said = {
        "pump@1": Heard(overridden=-1, decided=0, false_alerts=-1, healthy=0),
        "pump@2": Heard(overridden=0, decided=2),
    }
    assert observations_of(PLAN, said).counted == {
        "override_rate": {"primary": Counted(-1, 0), "candidate": Counted(0, 2)},
        "reviewed_fpr": {"primary": Counted(-1, 0)},
    }


def test_what_comes_to_nothing_is_nothing() -> None:
    assert observations_of(PLAN, {"pump@1": Heard(), "other": Heard(1, 1, 1, 1)}).counted == {}
