"""Where Ray Serve's own HTTP port listens, as its controller knows it."""

from ray.serve.context import _get_global_client


def serve_host() -> str:
    """The host of `http_options`; empty where Serve does not say. Blocks: it asks the controller."""
    try:
        client = _get_global_client(raise_if_no_controller_running=False)
        return "" if client is None else str(client.http_config.host)
    except Exception:  # noqa: BLE001 - an internal of Ray: whatever it says instead, the host is not known
        return ""
