"""The value-trace explorer: every scored answer of a suite, step by step, with its true values and the entries'."""
