"""Never ends, and prints the right answer first, in case somebody reads it before the time is up."""

print(sum(map(int, input().split())), flush=True)
while True:
    pass
