"""Pages over an API that answers from memory: what people chose, and what an error says, stays where it belongs."""

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from serve.console.api import Caller, Mesh, client

TIME = "2026-11-27T12:00:00Z"


def rollout(name):
    return {
        "name": name,
        "endpoint": "default",
        "primary": "anomaly",
        "candidate": f"anomaly@{name}",
        "state": "Progressing",
        "pause": None,
        "reason": f"reason of {name}",
        "trouble": "",
        "step": 0,
        "steps": [],
        "candidate_percent": 10.0,
        "warm": False,
        "since": TIME,
        "started_by": "olu",
    }


class Api:
    """Rollouts, newest first, and what was asked of them."""

    def __init__(self) -> None:
        self.names, self.acted, self.looked_at = ["a", "b"], [], []
        self.refused: str | None = None

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            self.acted.append(request.url.path)
            refusal = {"error": self.refused} if self.refused else {}
            return httpx.Response(409 if refusal else 200, json=refusal or rollout("x"))
        _, place, *rest = request.url.path.split("/", 2)
        return getattr(self, f"_{place}")(request, *rest)

    def _alerts(self, request):
        shown = [] if request.url.params.get("asset") else [{"asset": one} for one in self.names]
        return httpx.Response(200, json={"alerts": shown})

    def _review(self, _request, _queue):
        return httpx.Response(200, json={"items": []})

    def _features(self, request, _asset):
        self.looked_at.append(request.url.raw_path.decode())
        return httpx.Response(404, json={"error": "none"})

    def _rollouts(self, _request, name=None):
        if name is None:
            return httpx.Response(
                200, json={"rollouts": [rollout(one) for one in self.names], "plans": ["a"]}
            )
        evidence = {"looked_at": None, "windows": {}, "rows": {}, "lost": 0, "metrics": []}
        detail = {"rollout": rollout(name), "missing": [], "evidence": evidence, "history": []}
        return httpx.Response(200, json=detail)


@pytest.fixture
def api():
    return Api()


@pytest.fixture
def mesh(api):
    return Mesh(
        client("http://mesh", httpx.MockTransport(api.answer)), Caller("olu", "operator", "token", "t")
    )


def rollouts(mesh):
    from serve.console.pages import rollouts

    rollouts.show(mesh)


def test_a_rollout_that_somebody_else_starts_does_not_take_the_chosen_ones_place(api, mesh):
    page = AppTest.from_function(rollouts, args=(mesh,)).run()
    api.names = ["c", "a", "b"]
    page.text_input[0].input("it pages people").run()
    abort = next(one for one in page.button if one.label == "Abort")
    abort.click().run()
    assert not page.exception
    assert api.acted == ["/rollouts/a/abort"]


def assets(mesh):
    from serve.console.pages import assets

    assets.show(mesh)


@pytest.mark.parametrize("later", [["c", "a", "b"], ["b"]])
def test_an_asset_stays_in_view_whoever_else_alerts(api, mesh, later):
    page = AppTest.from_function(assets, args=(mesh,)).run()
    api.names = later
    page.run()
    assert not page.exception
    assert api.looked_at == ["/features/a", "/features/a"]
