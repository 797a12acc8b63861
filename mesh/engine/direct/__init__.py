"""The direct path from an engine to a model replica: `mesh.wire` over Unix sockets and TCP, on asyncio."""
