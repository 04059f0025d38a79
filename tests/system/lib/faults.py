"""Faults inside the binary under test: tests/system/faults.c, preloaded, struck by what is written here.

Same layout as struct faults there. One file for all processes of one Tidegate; strike() and heal() take
effect with the next call that any of them makes."""
import mmap
import os
import pathlib
import struct
import subprocess

from .proxy import harness_path

SEEDS = range(1, int(os.environ.get("TIDEGATE_FAULT_SEEDS", "1")) + 1)
SECONDS = float(os.environ.get("TIDEGATE_FAULT_SECONDS", "1.5"))
LIBRARY = (pathlib.Path(harness_path()).parent / "libfaults.so").resolve()
KINDS = ("memory", "short", "again", "interrupt", "reset", "buffers", "descriptors", "disk", "clock", "fork",
         "watch", "submit", "pause")
PROCESSES = 256
BURSTS_AT = 4 + 4 * len(KINDS)
CALLS_AT = (4 + 8 * len(KINDS) + 7) // 8 * 8
STRUCK_AT = CALLS_AT + 8
PROCESSES_AT = STRUCK_AT + 8 * len(KINDS) + 8
SIZE = PROCESSES_AT + 16 * PROCESSES


def sanitizer(binary):
    """The runtime of a binary that was built with ASan, else None."""
    linked = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=False).stdout
    return next((line.split()[2] for line in linked.splitlines() if "libasan" in line), None)


class Faults:
    def __init__(self, folder, library, binary):
        self.path = pathlib.Path(folder) / "faults"
        with open(self.path, "wb") as file:
            file.truncate(SIZE)
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), SIZE)
        self.environment = {"FAULTS": str(self.path), "LD_PRELOAD": str(library)}
        if sanitizer(binary):
            # Ours is first, so that allocations fail in front of ASan, which sees who minds and who leaks.
            # Whole stacks: what the dynamic linker allocates is known by who asked for it.
            self.environment["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0:fast_unwind_on_malloc=0"

    def strike(self, seed, bursts=None, **one_in):
        """`memory=100`: about one allocation in a hundred fails; `bursts={"memory": 5}`: five more after it."""
        for kind in one_in:
            assert kind in KINDS, kind
        struct.pack_into("<I", self.memory, 0, seed)
        for number, kind in enumerate(KINDS):
            struct.pack_into("<I", self.memory, BURSTS_AT + 4 * number, (bursts or {}).get(kind, 0))
            struct.pack_into("<I", self.memory, 4 + 4 * number, one_in.get(kind, 0))

    def heal(self):
        for number in range(len(KINDS)):
            struct.pack_into("<I", self.memory, 4 + 4 * number, 0)

    def struck(self):
        counts = struct.unpack_from(f"<{len(KINDS)}Q", self.memory, STRUCK_AT)
        return {kind: count for kind, count in zip(KINDS, counts) if count}

    def blocks(self, pid):
        """Blocks that the process holds, or held when it ended."""
        for at in range(PROCESSES_AT, SIZE, 16):
            found, _, blocks = struct.unpack_from("<iiq", self.memory, at)
            if found == pid:
                return blocks
        raise KeyError(pid)
