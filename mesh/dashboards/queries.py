"""PromQL that several panels share."""

from mesh.dashboards.panel import WINDOW, Query


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Growth a second, by these labels; 0 where nothing has been counted yet and there are no labels."""
    inner = f"rate({metric}{{{where}}}[{WINDOW}])" if where else f"rate({metric}[{WINDOW}])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner}) or vector(0)"


def quantile(q: float, histogram: str, by: str = "", where: str = "") -> str:
    """A quantile of a histogram, by these labels."""
    selector = f"{{{where}}}" if where else ""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({histogram}_bucket{selector}[{WINDOW}])))"


def quantiles(histogram: str, by: str = "", where: str = "") -> tuple[Query, ...]:
    """The median, the 95th and the 99th percentile."""
    name = f" {{{{{by}}}}}" if by else ""
    return tuple(Query(quantile(q, histogram, by, where), f"p{q * 100:g}{name}") for q in (0.5, 0.95, 0.99))


def share(part: str, whole: str) -> str:
    """One over the other; 0 where there is nothing of the whole."""
    return f"({part}) / (({whole}) > 0) or vector(0)"


def ratio(part: str, whole: str, by: str) -> str:
    """Growth of one counter over that of another, by one label."""
    return f"sum by ({by}) (rate({part}[{WINDOW}])) / sum by ({by}) (rate({whole}[{WINDOW}]))"
