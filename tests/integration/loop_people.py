"""People who judge windows of a running mesh over its API, each with a token of their own."""

import asyncio
from collections.abc import Sequence

import httpx
from ray_mesh import REDIS, until
from typer.testing import CliRunner

from mesh.alerts import Place
from mesh.cli.app import app
from mesh.review.feed import RedisCandidates
from mesh.review.intake import item_id
from mesh.review.values import Candidate, Prediction
from mesh.stores.rows import FeatureBatch


def window(rows: FeatureBatch, row: int, model: str, *, flagged: bool, twice: bool = True) -> Candidate:
    """One window as the stream offers it, answered by `model`."""
    asset, end = rows.entities[row], int(rows.event_time[row])
    said = Prediction(flagged, 0.999 if flagged else 0.1, 0.998, 0.2, model, model.partition("@")[2])
    return Candidate(
        "unsure",
        f"{asset}@{end}/{model}",
        asset,
        end,
        said,
        place=Place("hyperstream.raw", 0, row),
        twice=twice,
    )


class People:
    """Makes tokens on the mesh's own database, so `MESH_CONFIG` must name its folder."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=60)
        self._tokens: dict[str, dict[str, str]] = {}

    def join(self, name: str, role: str) -> None:
        made = CliRunner().invoke(app, ["token", "create", name, "--role", role], catch_exceptions=False)
        assert made.exit_code == 0, made.output
        self._tokens[name] = {"authorization": f"Bearer {made.stdout.strip()}"}

    def offer(self, windows: Sequence[Candidate]) -> None:
        """Let the mesh ask about these, and wait until it does."""

        async def tell() -> None:
            feed = RedisCandidates(f"redis://127.0.0.1:{REDIS}/0")
            await feed.offer(windows)
            await feed.close()

        asyncio.run(tell())
        last = f"/review/items/{item_id(windows[-1])}"
        until(lambda: self._http.get(last).status_code == 200, 60, lambda: self._http.get(last).text[:300])

    def judge(self, name: str, windows: Sequence[Candidate], *, turned: bool = False) -> None:
        """Say of each whether its machine is one of the bad ones, or the opposite."""
        for one in windows:
            at, anomalous = f"/review/items/{item_id(one)}", one.asset.startswith("bad-") != turned
            word = {"action": "judge", "label": "anomaly" if anomalous else "normal"}
            for path, body in ((f"{at}/lease", {}), (f"{at}/decide", word)):
                reply = self._http.post(path, json=body, headers=self._tokens[name])
                assert reply.status_code == 200, reply.text[:500]

    def close(self) -> None:
        self._http.close()
