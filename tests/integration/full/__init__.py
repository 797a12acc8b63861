"""Tests that share one running mesh: a package, so that pytest ends it before the next module starts its own."""
