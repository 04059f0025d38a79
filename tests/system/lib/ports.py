"""Ports for those who are told where to listen."""
import random
import socket

# Below those that the kernel gives to outgoing connections, and those of process fleets and of rehearsals.
FIRST, END = 10000, 15000
TAKEN = []      # names that say, as long as this process runs, that a port is somebody's


def claim(port):
    """Whether nobody else is told to listen there: other tests ask too, and listen only a while later."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0tidegate-test-port-{port}")
    except OSError:
        name.close()
        return False
    TAKEN.append(name)
    return True


def free_port():
    while True:
        port = random.SystemRandom().randrange(FIRST, END)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        if claim(port):
            return port
