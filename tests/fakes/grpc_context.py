"""The context of a gRPC call without metadata."""


class Context:
    """Keeps what the call is told."""

    details = ""

    def set_code(self, code):
        self.code = code

    def set_details(self, details):
        self.details = details

    def invocation_metadata(self):
        return ()
