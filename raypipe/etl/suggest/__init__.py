"""Rules that a table suggests by itself, each with its evidence, its bound, and its score on rows held out."""
