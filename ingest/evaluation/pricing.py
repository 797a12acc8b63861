"""What the chain would cost in the pace of the readings: measured processor time and memory, priced. An estimate."""

from ingest.evaluation.results import Result
from mesh.costs import Bill, Prices, ProcessUse, Usage, bill
from mesh.costs.usage import GB, HOUR_S


def priced(result: Result, prices: Prices) -> Bill:
    """The bill of a scenario's fleet, for hours of simulated time.

    Processor time is what the chain and its models used for the readings, however fast they were played; memory is what this
    process held, all that time. Brokers, stores and processes that wait are not in it. An alert is true within a fault.
    """
    whole = result.scores[0]
    memory = max(effort.memory_bytes for effort in result.efforts)
    cpu_s = sum(effort.cpu_s for effort in result.efforts)
    usage = Usage(
        seconds=whole.hours * HOUR_S,
        processes=(ProcessUse("chain", cpu_s, memory / GB * whole.hours),),
        network_gb=0.0,
        records=result.records,
        alerts=whole.alerts,
        level=0,
    )
    return bill(usage, prices, 1 - len(whole.false) / whole.alerts if whole.alerts else None)
