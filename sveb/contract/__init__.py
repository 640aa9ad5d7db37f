"""What an estimator is and what it is given: numpy only."""
