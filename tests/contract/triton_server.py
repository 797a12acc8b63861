"""A real Triton server with the models of the contract suite; run by the Python that has nvidia-pytriton.

Usage: triton_server.py HTTP_PORT GRPC_PORT METRICS_PORT WORKSPACE.
Prints `ready` and serves until its stdin is closed.
"""

import sys

import numpy as np
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig

DTYPES = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.bytes_,
}
AT_ONCE = ModelConfig(max_batch_size=256, batcher=DynamicBatcher(max_queue_delay_microseconds=0))


@batch
def adder(a, b):
    return {"sum": a + b}


@batch
def echo(**inputs):
    return {f"y_{name.removeprefix('x_')}": array for name, array in inputs.items()}


@batch
def picky(x):
    return {"y": np.array([0, 2, 4, 6], dtype=np.float32)[x]}


def main(http: int, grpc: int, metrics: int, workspace: str) -> None:
    local = "127.0.0.1"
    config = TritonConfig(
        http_port=http,
        grpc_port=grpc,
        metrics_port=metrics,
        http_address=local,
        grpc_address=local,
        metrics_address=local,
        exit_timeout_secs=2,  # a model that has raised never unloads
    )
    with Triton(config=config, workspace=workspace) as server:
        four = {"dtype": np.float32, "shape": (4,)}
        server.bind(
            "adder",
            adder,
            inputs=[Tensor(name="a", **four), Tensor(name="b", **four)],
            outputs=[Tensor(name="sum", **four)],
            config=AT_ONCE,
        )
        server.bind(
            "echo",
            echo,
            inputs=[
                Tensor(name=f"x_{name.lower()}", dtype=dtype, shape=(3,)) for name, dtype in DTYPES.items()
            ],
            outputs=[
                Tensor(name=f"y_{name.lower()}", dtype=dtype, shape=(3,)) for name, dtype in DTYPES.items()
            ],
            config=AT_ONCE,
        )
        server.bind(
            "picky",
            picky,
            inputs=[Tensor(name="x", dtype=np.int64, shape=(1,))],
            outputs=[Tensor(name="y", dtype=np.float32, shape=(1,))],
            config=AT_ONCE,
        )
        server.run()
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
