"""Clusters: one typed spec, the files rendered from it, and checks of such files, of a cluster and of its cost."""
