"""Metrics: one typed registry of names, a recorder in every process, and the totals over all of them."""
