"""What every package may use: errors, faults, files and seeds."""
