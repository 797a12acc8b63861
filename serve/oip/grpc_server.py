"""A gRPC server of our own, on the event loop that is running."""

from typing import Final

import grpc
from tritonclient.grpc import service_pb2_grpc as stubs

from mesh.security.tls import CERT, CLIENT_CA, KEY, TlsFiles, read_pem
from serve.oip.grpc_service import InferenceService

_SERVICE: Final = "inference.GRPCInferenceService"
_SPARE_BYTES: Final = 1 << 20
"""What a message may hold beside its tensors."""


def server_credentials(files: TlsFiles) -> grpc.ServerCredentials:
    """For `GrpcServer`. Raises `InvalidConfig` naming the file that cannot be read."""
    pair = read_pem(files.key, KEY), read_pem(files.certificate, CERT)
    authorities = None if files.client_ca is None else read_pem(files.client_ca, CLIENT_CA)
    return grpc.ssl_server_credentials(
        [pair], root_certificates=authorities, require_client_auth=files.mutual
    )


class GrpcServer:
    """Serves one `InferenceService` until drained. Several processes may share the port."""

    def __init__(
        self,
        service: InferenceService,
        *,
        message_bytes: int,
        concurrent_calls: int,
        tls: grpc.ServerCredentials | None = None,
    ) -> None:
        """`message_bytes` bounds a request (RESOURCE_EXHAUSTED past it), `concurrent_calls` the calls under way."""
        self._tls = tls
        options = [
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", message_bytes + _SPARE_BYTES),
            ("grpc.max_send_message_length", -1),
        ]
        self._server = grpc.aio.server(options=options, maximum_concurrent_rpcs=concurrent_calls)
        # Handlers are asked in the order in which they were added: this one keeps `ModelInfer` from protobuf's copies.
        infer = grpc.unary_unary_rpc_method_handler(service.infer_bytes)
        own = grpc.method_handlers_generic_handler(_SERVICE, {"ModelInfer": infer})
        self._server.add_generic_rpc_handlers((own,))
        stubs.add_GRPCInferenceServiceServicer_to_server(service, self._server)

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which the system chooses for 0. `OSError` names an address that cannot be had."""
        try:
            address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            if self._tls is None:
                bound = self._server.add_insecure_port(address)
            else:
                bound = self._server.add_secure_port(address, self._tls)
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen on {host}:{port}: {error}") from error
        await self._server.start()
        return int(bound)

    async def drain(self, timeout_s: float) -> None:
        """Take no more calls, let those under way finish for at most `timeout_s`, close."""
        await self._server.stop(timeout_s)
