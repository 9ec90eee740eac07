"""Rules brought over from other tools, and taken there; what does not map is told, never dropped in silence."""
