"""What the mesh costs, measured beside its peers in one run on one machine."""
