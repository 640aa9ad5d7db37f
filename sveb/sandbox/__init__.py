"""Runs code that nobody trusts: confined by bubblewrap, probed before it starts, watched while it runs."""
