"""After a model has learnt: probabilities that hold what they say, a threshold, intervals and sets."""
