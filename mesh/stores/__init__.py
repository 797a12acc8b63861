"""What outlives a process, each behind a port of few methods."""
