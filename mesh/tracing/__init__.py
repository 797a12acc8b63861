"""Which way did a request or a record take? Spans are made when it has ended, and only of what is kept."""
