"""From what `routing.yaml` says to compiled route tables that hold together."""

from collections.abc import Iterable, Mapping
from hashlib import sha256

from mesh.errors import InvalidConfig
from mesh.routing.checks import find_problems
from mesh.routing.errors import RuleSyntaxError
from mesh.routing.facts import ModelFacts
from mesh.routing.problems import KeyPath
from mesh.routing.table import Route, RouteTable
from mesh.routing.when import When, compile_when
from mesh.spec.document import Document
from mesh.spec.problems import one_or_all, problem_at
from mesh.spec.routing_file import EndpointEntry, RoutingFile


def compile_tables(
    document: Document, routing: RoutingFile, facts: Mapping[str, ModelFacts]
) -> dict[str, RouteTable]:
    """Every table of the file, by endpoint; raises all that is wrong with them at once."""
    tables: dict[str, RouteTable] = {}
    problems: list[InvalidConfig] = []
    for at, endpoint, entry in routing.tables():
        if endpoint in facts or endpoint in tables:
            taken = "a model in models.yaml" if endpoint in facts else "the bare routes"
            problems.append(
                problem_at(document, at or ("routes",), f"the name '{endpoint}' is taken by {taken}")
            )
        whens, errors = _whens(document, at, entry)
        problems += errors
        if not errors:
            tables[endpoint] = entry.table(endpoint, whens)
            found = find_problems(tables[endpoint], facts)
            problems += [problem_at(document, (*at, *problem.key_path), problem.reason) for problem in found]
    if problems:
        raise one_or_all(problems)
    return tables


def _whens(document: Document, at: KeyPath, entry: EndpointEntry) -> tuple[list[When], list[InvalidConfig]]:
    """The compiled conditions of the routes, or what is wrong with them."""
    whens: list[When] = []
    problems: list[InvalidConfig] = []
    for index, route in enumerate(entry.routes):
        try:
            whens.append(compile_when(route.when))
        except RuleSyntaxError as error:
            problems.append(problem_at(document, (*at, "routes", index, "when"), str(error)))
    return whens, problems


def plain_table(endpoint: str, model: str) -> RouteTable:
    """The table of an endpoint that one model answers."""
    return RouteTable(endpoint, (Route(endpoint, compile_when("always"), send=(model,)),))


def hash_of(hashes: Iterable[str]) -> str:
    """One content hash for several tables, whatever their order."""
    return sha256(" ".join(sorted(hashes)).encode()).hexdigest()[:12]
