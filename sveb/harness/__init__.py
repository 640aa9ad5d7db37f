"""Runs an estimator in a process of its own and records what it asks for."""
