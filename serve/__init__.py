"""What runs as a Ray Serve deployment: the router, and one host per model."""
