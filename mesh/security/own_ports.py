"""The ports that the settings open, for the check of what strangers reach. Pure."""

from mesh.security.exposure import Guards, Port, check_exposure
from mesh.settings import Settings


def own_ports(settings: Settings) -> list[Port]:
    """HTTP, gRPC and metrics of the mesh itself, without those that are off."""
    rows = (
        (settings.http_port, "HTTP"),
        (settings.grpc_port, "gRPC"),
        (settings.prometheus_port, "metrics"),
    )
    return [
        Port(f"{purpose} on port {port}", settings.mesh_host, "MESH_HOST") for port, purpose in rows if port
    ]


def check_own_ports(settings: Settings) -> None:
    """Raises `InvalidConfig` where one of them answers strangers without asking who they are."""
    check_exposure(own_ports(settings), settings.guards)


def check_serve_port(settings: Settings, host: str) -> None:
    """The same for Ray Serve's own ports on `host` (empty: not known).

    Ray asks nobody for a certificate there, so tokens must.
    """
    if host:
        guards = Guards(settings.guards.tokens, certificates=False, insecure=settings.insecure)
        check_exposure([Port("HTTP and gRPC through Ray Serve", host, "http_options.host")], guards)
