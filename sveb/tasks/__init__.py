"""Tasks: problems, prompts, step splitting and grading, read from the folders under tasks/."""
