"""What Kubernetes must be told of the mesh, made from the files that tell the mesh itself. Pure: values in, YAML out."""

from mesh.kubernetes.rendered import Project, rendered

__all__ = ["Project", "rendered"]
