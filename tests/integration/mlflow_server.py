"""A real MLflow server with an ONNX model under the alias champion; run by the Python that has mlflow and onnx.

Usage: mlflow_server.py PORT FOLDER MODEL.onnx. Prints `ready` and serves until its stdin is closed.
"""

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GIT_PYTHON_REFRESH": "quiet",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # starts and stops in a fraction of the time
}


def main(port: int, folder: Path, model: Path) -> None:
    address = f"http://127.0.0.1:{port}"
    os.environ.update(ENVIRONMENT)
    words = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    words += [
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
        "--artifacts-destination",
        str(folder / "files"),
    ]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        register(address, model)
        print("ready", flush=True)
        sys.stdin.read()
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(10)


def register(address: str, model: Path) -> None:
    import mlflow
    import onnx

    ends = time.monotonic() + 240
    while True:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=10).close()  # noqa: S310
            break
        except OSError:
            if time.monotonic() > ends:
                raise
            time.sleep(0.2)
    mlflow.set_tracking_uri(address)
    proto = onnx.load(str(model))
    requirements = ["onnx"]
    with mlflow.start_run():
        mlflow.onnx.log_model(
            proto, name="model", registered_model_name="pumps", pip_requirements=requirements
        )
    mlflow.MlflowClient().set_registered_model_alias("pumps", "champion", "1")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
