"""What watches runs: logs."""
