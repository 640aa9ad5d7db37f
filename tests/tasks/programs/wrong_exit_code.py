"""Prints the right answer and then fails: a program that crashes has not solved the problem."""

import os
import sys

print(sum(map(int, input().split())))
sys.stdout.flush()
os._exit(3)
