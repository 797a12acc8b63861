"""The Open Inference Protocol v2: between the bytes of a client and the engine. No Ray, no sockets but gRPC's."""
