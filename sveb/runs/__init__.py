"""A run on disk: an estimator's predictions and their scores."""
