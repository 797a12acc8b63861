"""What keeps strangers out: TLS, which ports need a guard, how often a caller may ask."""
