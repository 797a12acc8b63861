"""One file a revision; `mesh.records.migrate` says how to add one."""
