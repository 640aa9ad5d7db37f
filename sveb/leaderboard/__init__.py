"""Entries on disk become a static site; no figure is computed here, all come from results.json."""
