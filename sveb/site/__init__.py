"""The static site: reads files, draws pages."""
