"""What people see: pages in the browser. A client of the HTTP API and nothing else."""
