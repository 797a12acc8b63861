"""The command line: `hyperstream`. One file a command."""
