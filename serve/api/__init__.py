"""What people and machines ask of the mesh beside inference, as routers for its FastAPI application."""
