"""A receiver of OTLP over HTTP that keeps what it is sent."""

import gzip
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass(frozen=True)
class Received:
    """One span: ids are hexadecimal, `parent` is empty where there is none."""

    process: str
    name: str
    trace: str
    span: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, str]
    events: tuple[str, ...]
    failed: bool
    seconds: float


class OtlpReceiver:
    """Listens on a port of the loopback until it is closed."""

    def __init__(self, port: int = 0) -> None:
        self._lock = threading.Lock()
        self._spans: list[Received] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                receiver._take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def spans(self) -> list[Received]:
        with self._lock:
            return list(self._spans)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def _take(self, request: ExportTraceServiceRequest) -> None:
        found = []
        for resource in request.resource_spans:
            told = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                found += [_received(told.get("mesh.process", ""), span) for span in scope.spans]
        with self._lock:
            self._spans += found


def _received(process: str, span: object) -> Received:
    attributes = {
        one.key: str(getattr(one.value, one.value.WhichOneof("value")))
        for one in span.attributes  # type: ignore[attr-defined]
    }
    return Received(
        process,
        span.name,  # type: ignore[attr-defined]
        span.trace_id.hex(),  # type: ignore[attr-defined]
        span.span_id.hex(),  # type: ignore[attr-defined]
        span.parent_span_id.hex(),  # type: ignore[attr-defined]
        tuple(link.trace_id.hex() for link in span.links),  # type: ignore[attr-defined]
        attributes,
        tuple(event.name for event in span.events),  # type: ignore[attr-defined]
        span.status.code == 2,  # type: ignore[attr-defined]
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,  # type: ignore[attr-defined]
    )
