"""HTTP: the raw ASGI application and a server of our own for it. No Ray."""
