"""What changed between two tables, from their profiles: how much, how sure, and a verdict."""
