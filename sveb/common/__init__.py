"""What every room may use: errors, faults, files and seeds."""
