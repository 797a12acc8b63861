"""GraphQL over HTTP and WebSockets: the stream of predictions, its status, and alerts as they change.

A deployment of its own, so that readers, however slow, never share an event loop with inference.
"""
