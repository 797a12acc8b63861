"""What do people look at? Grafana dashboards as code: `python -m mesh.dashboards` writes them. Pure: stdlib."""
