"""Tries the network: the harness's own machine, the internet, a name server, an abstract socket, netlink."""

import contextlib
import socket

numbers, port = input(), int(input())
for family, address in (
    (socket.AF_INET, ("127.0.0.1", port)),
    (socket.AF_INET, ("1.1.1.1", 53)),
    (socket.AF_INET6, ("::1", port)),
    (socket.AF_UNIX, f"\0sveb-{port}"),
):
    with contextlib.suppress(OSError), socket.socket(family) as sock:
        sock.settimeout(1)
        sock.connect(address)
        print("connected to", address)
with contextlib.suppress(OSError):
    print("resolved", socket.gethostbyname("example.org"))
print(sum(map(int, numbers.split())))
