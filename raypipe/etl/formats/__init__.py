"""File formats: how each is cut into parts, and how a part becomes a block."""
