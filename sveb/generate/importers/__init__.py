"""Other people's data, turned into suites."""
