"""Rows set aside: written, counted, mended, and read again."""
