"""GraphiQL in the browser, opened with the subscription and the query that everybody wants first.

GraphiQL's own files come from a public address with their digests; where they cannot be had, a plain editor that needs nothing
takes its place (`page.html`).
"""

from functools import cache
from importlib.resources import files
from typing import Final

DOCUMENTS: Final = """\
# Predictions of one endpoint as they come. Press play and choose one of the two operations.
subscription Predictions {
  mlInferenceStream(modelId: "default") {
    inferenceId
    latencyMs
    receivedAt
    predictions
    metadata
  }
}

query Status {
  mlStreamingStatus(modelId: "default") {
    connected
    lastHeartbeatAt
    averageLatencyMs
  }
}
"""


@cache
def graphiql_page() -> str:
    """The page, as HTML."""
    page = files("serve.graphql").joinpath("page.html").read_text(encoding="utf-8")
    return page.replace("%DOCUMENTS%", DOCUMENTS)
