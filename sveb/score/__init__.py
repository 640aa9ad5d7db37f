"""Scoring: from predictions and truth to metrics with problem-clustered intervals."""
