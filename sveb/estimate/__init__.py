"""From a suite's inputs to predictions: the estimator's contract, its process, what it may ask for."""
