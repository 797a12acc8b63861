"""Access and the audit log on a mesh that runs: its own port, Serve's port, gRPC, metrics."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from ray_mesh import RunningMesh, until

pytestmark = pytest.mark.ray


def hyperstream(mesh: RunningMesh, *words: str) -> str:
    """A command of somebody who works on the mesh's machine, in a process of its own."""
    environ = {"MESH_CONFIG": str(mesh.config_dir), "PATH": "/usr/bin:/bin", "HOME": "/nowhere"}
    command = [sys.executable, "-m", "mesh.cli", *words]
    done = subprocess.run(
        command, check=False, env=environ, capture_output=True, text=True, timeout=240, cwd=Path.cwd()
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tokens_and_the_log_on_both_ports(mesh_on_ray: RunningMesh) -> None:
    token = hyperstream(mesh_on_ray, "token", "create", "ann", "--role", "viewer").strip()
    bearer = {"authorization": f"Bearer {token}"}
    for address in (mesh_on_ray.lane, mesh_on_ray.http):
        with httpx.Client(base_url=address, timeout=60) as client:
            assert client.get("/whoami").json()["by"] == "local", address
            assert client.get("/whoami", headers=bearer).json() == {
                "actor": "ann",
                "role": "viewer",
                "by": "token",
            }
            (entry,) = client.get("/audit", headers=bearer, params={"limit": 1}).json()["entries"]
            assert (entry["action"], entry["via"], entry["detail"]["name"]) == ("tokens.create", "cli", "ann")
            verdict = client.get("/audit/verify", headers=bearer).json()
            assert (verdict["whole"], verdict["head_hash"]) == (True, entry["hash"])
            refused = client.post("/alerts/x/ack", headers=bearer, json={})
            assert (refused.status_code, "needs the role analyst" in refused.json()["error"]) == (403, True)
            passed_on = client.post("/alerts/x/ack", headers={"x-forwarded-for": "10.0.0.7"}, json={})
            assert passed_on.status_code == 401
            crossed = client.post("/alerts/x/ack", headers={"origin": "https://evil.example"}, json={})
            assert crossed.status_code == 403
    hyperstream(mesh_on_ray, "token", "revoke", token.split("_")[1])
    whoami = f"{mesh_on_ray.lane}/whoami"
    took = until(lambda: httpx.get(whoami, headers=bearer, timeout=60).status_code == 401, 60)
    assert took < 4
    assert "of 'ann' is revoked" in httpx.get(whoami, headers=bearer, timeout=60).json()["error"]


def test_where_the_log_ends_is_a_metric(mesh_on_ray: RunningMesh) -> None:
    head = httpx.get(f"{mesh_on_ray.lane}/audit/verify", timeout=60).json()

    def series() -> dict[str, float]:
        lines = httpx.get(mesh_on_ray.metrics, timeout=60).text.splitlines()
        return {
            line.partition("{")[0]: float(line.split()[-1])
            for line in lines
            if line.startswith("mesh_audit_")
        }

    until(lambda: series().get("mesh_audit_length") == head["head_seq"], 15, lambda: str(series()))
    assert f"{int(series()['mesh_audit_head']):013x}" == head["head_hash"][:13]


def test_inference_asks_no_token(mesh_on_ray: RunningMesh) -> None:
    body = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
    began = time.monotonic()
    reply = httpx.post(
        f"{mesh_on_ray.lane}/v2/models/default/infer",
        json=body,
        headers={"x-forwarded-for": "10.0.0.7"},
        timeout=60,
    )
    assert (reply.status_code, time.monotonic() - began < 5) == (200, True)
