"""Who asks over HTTP and gRPC, and may they? Tokens, the machine's own user, roles."""
