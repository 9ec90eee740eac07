"""Handing a run to a cluster: what is packed, what is checked first, and how the job is followed from afar.

Nothing here imports Ray: the Jobs API of a cluster is plain HTTP.
"""
