"""Debian's Python packages, also for a Python that is not Debian's (pyenv and its like)."""
import sys

FOLDER = "/usr/lib/python3/dist-packages"
if FOLDER not in sys.path:
    sys.path.append(FOLDER)  # last: what this Python brings goes first
