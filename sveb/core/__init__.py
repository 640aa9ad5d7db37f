"""Ground floor: records, errors, seeds, files and the formats in which the rooms meet on disk."""
