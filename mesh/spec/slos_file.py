"""`slos.yaml`: what is promised of the mesh, as Prometheus can check it."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from mesh.slo.objective import WINDOW, Slo, Slos
from mesh.spec.fields import Name, Several, Strict, Text


def _over_window(query: str) -> str:
    if WINDOW not in query:
        raise ValueError(f"must count over [{WINDOW}], which is replaced by each window's length")
    return query


Query = Annotated[Text, AfterValidator(_over_window)]
Objective = Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0, lt=100)]


class SliEntry(Strict):
    """What is counted."""

    errors: Query
    """PromQL: bad events a second, one value without labels."""
    total: Query
    """PromQL: all events a second, one value without labels."""


class SloEntry(Strict):
    """One objective."""

    name: Name
    """Its name in series and alerts."""
    objective: Objective
    """The percentage of events that must be good, over 30 days."""
    description: Text
    """What that means to users, in a sentence without its full stop."""
    sli: SliEntry
    """The service level indicator."""


class SlosFile(Strict):
    """The whole file."""

    service: Name = "hyperstream-mesh"
    """The label `service` of every series."""
    slos: Several[SloEntry]
    """The objectives."""

    @model_validator(mode="after")
    def _names_once(self) -> "SlosFile":
        names = [one.name for one in self.slos]
        again = sorted({name for name in names if names.count(name) > 1})
        if again:
            raise ValueError(f"slos: {', '.join(again)} is there twice; names must differ")
        return self

    def compiled(self) -> Slos:
        """The same, for the rest of the mesh."""
        return Slos(
            self.service,
            tuple(
                Slo(one.name, one.objective, one.description, one.sli.errors, one.sli.total)
                for one in self.slos
            ),
        )
