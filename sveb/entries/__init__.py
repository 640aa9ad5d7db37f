"""Entries of the leaderboard: submitted, validated, verified, reproduced."""
