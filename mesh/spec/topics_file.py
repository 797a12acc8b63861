"""`topics.yml`: the Kafka topics that the stages of the stream share."""

from mesh.spec.fields import Name, Strict


class TopicEntry(Strict):
    """One topic."""

    topic: Name
    """Its name in Kafka."""


class TopicsFile(Strict):
    """The whole file."""

    raw: TopicEntry = TopicEntry(topic="hyperstream.raw")
    """Telemetry as it comes from machines."""
    features: TopicEntry = TopicEntry(topic="hyperstream.features")
    """Rows that are ready to be scored."""
    alerts: TopicEntry = TopicEntry(topic="hyperstream.alerts")
    """What people should look at."""
    audit: TopicEntry = TopicEntry(topic="hyperstream.audit")
    """Where the audit log ends, so that a rewrite of it shows."""
    truth: TopicEntry = TopicEntry(topic="hyperstream.truth")
    """What a simulation broke, and when."""
