"""Policies: sample, hidden states and log-probabilities of a language model, one file an engine."""
