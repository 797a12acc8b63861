"""The Open Inference Protocol's gRPC service, named in `serve_config.yaml` for Serve's proxy.

The messages are tritonclient's: a second `inference.*` description could not be loaded beside it. They call
themselves members of a module `grpc_service_pb2` that does not exist. Serve's Python proxy pickles them, so
the proxy (by importing this module) and the router give them one.
"""

import sys

from tritonclient.grpc import model_config_pb2, service_pb2
from tritonclient.grpc.service_pb2_grpc import add_GRPCInferenceServiceServicer_to_server

__all__ = ["add_GRPCInferenceServiceServicer_to_server", "make_messages_picklable"]


def make_messages_picklable() -> None:
    """Let this process find the messages' classes under the module names that they carry."""
    sys.modules.setdefault("grpc_service_pb2", service_pb2)
    sys.modules.setdefault("model_config_pb2", model_config_pb2)


make_messages_picklable()
