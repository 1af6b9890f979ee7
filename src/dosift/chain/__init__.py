"""Targets that hold and switch: a hidden Markov chain over the targets of rows in order of time."""
