"""Ports for those who are told where to listen."""
import random
import socket

# Below those that the kernel gives to outgoing connections, and those of process fleets: nobody else takes one of
# these between the question and the answer.
FIRST, END = 10000, 20000


def free_port():
    while True:
        port = random.SystemRandom().randrange(FIRST, END)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
