"""A suite on disk: its format, how it is opened, verified and published."""
