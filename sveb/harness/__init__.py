"""Runs an estimator in its own process and meters what it asks for."""
