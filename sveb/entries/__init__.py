"""Entries of the leaderboard: how they are submitted, validated, verified and reproduced."""
