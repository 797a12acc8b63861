"""What Ray knows: the directory of replicas, the handle path, and the processes' figures in one place."""
