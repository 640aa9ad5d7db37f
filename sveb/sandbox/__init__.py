"""Runs untrusted code: confined by bubblewrap, tested before it starts, watched while it runs."""
