"""SVEB's version. The build reads it from this file too."""

__version__ = "0.1.0"
