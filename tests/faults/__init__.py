"""What a run survives: workers, nodes, blocks, disks and drivers are taken away, and the outputs compared."""
