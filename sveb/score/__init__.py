"""Score: predictions and truth in, metrics with problem-clustered intervals out."""
