"""What several built-in estimators share."""
