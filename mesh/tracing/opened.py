"""The tracer that the environment asks for."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from mesh.errors import InvalidConfig
from mesh.settings import Settings
from mesh.telemetry.recorder import Recorder
from mesh.tracing.span import SpanSink
from mesh.tracing.tracer import GATHER_S, Tracer

CLOSE_S: Final = 2.0


class OpenTracer(Tracer):
    """A tracer that owns its sink."""

    def __init__(self, ratio: float, sink: SpanSink, recorder: Recorder) -> None:
        super().__init__(ratio, sink, recorder, gather_s=GATHER_S)
        self._owned = sink

    async def close(self) -> None:
        """Send what is held, for two seconds at most; a receiver that hangs is left to its thread."""
        self.flush()
        closing = asyncio.get_running_loop().run_in_executor(None, self._owned.close, CLOSE_S)
        await asyncio.wait([closing], timeout=CLOSE_S)


def open_tracer(
    settings: Settings, process: str, recorder: Recorder, parts: AsyncExitStack
) -> OpenTracer | None:
    """A tracer that `parts` closes; None where MESH_TRACE_RATIO is not set.

    Raises `InvalidConfig` where the packages for it are missing.
    """
    if settings.trace_ratio is None:
        return None
    try:
        from mesh.tracing.otel import OtelSpans  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise InvalidConfig(
            "environment", 0, "MESH_TRACE_RATIO", f"needs pip install 'hyperstream-mesh[otel]' ({error})"
        ) from None
    tracer = OpenTracer(settings.trace_ratio, OtelSpans(process), recorder)
    parts.push_async_callback(tracer.close)
    return tracer
