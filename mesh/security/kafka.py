"""How every Kafka client of the mesh gets past the broker's door: the part of `KAFKA_CLIENT_*` that is about it.

Names are librdkafka's: `KAFKA_CLIENT_SASL_USERNAME` is `sasl.username`
(https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md).
"""

import os
from collections.abc import Mapping
from typing import Final

_PREFIX: Final = "KAFKA_CLIENT_"
_ABOUT: Final = ("security.", "sasl.", "ssl.", "enable.ssl.", "https.ca.")


def kafka_security(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Settings to add to a client's own; none where the broker asks for nothing."""
    named = {
        name.removeprefix(_PREFIX).lower().replace("_", "."): value
        for name, value in environ.items()
        if name.startswith(_PREFIX)
    }
    return {name: value for name, value in named.items() if name.startswith(_ABOUT)}
