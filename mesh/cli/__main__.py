"""`python -m mesh.cli` is `hyperstream`."""

from mesh.cli.app import main

main()
