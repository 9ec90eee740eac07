"""Networks that learn with torch, and score with numpy alone."""
