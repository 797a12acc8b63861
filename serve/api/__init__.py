"""Queries over HTTP beside the Router's inference: small routers that its FastAPI application includes."""
