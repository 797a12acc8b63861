"""One page a file; each has `show(mesh)`."""
