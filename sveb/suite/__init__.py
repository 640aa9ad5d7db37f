"""A suite on disk: its format, and how to open, verify and publish it."""
