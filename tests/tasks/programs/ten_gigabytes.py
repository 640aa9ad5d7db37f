"""Asks for 10 GB at once."""

memory = bytearray(10_000_000_000)
print(sum(map(int, input().split())))
