#!/usr/bin/env python3
"""How does a proxy take it when a backend is ill? README.md: how, and how far to trust it."""
import argparse
import importlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

from service import HERE, PEERS, Bench, Proxy, Unavailable, build, find_binary

QUESTIONS = {path.stem: importlib.import_module(f"questions.{path.stem}")
             for path in sorted((HERE / "questions").glob("[a-z]*.py"))}


def binaries(options):
    found = {}
    for name in options.peers.split(","):
        try:
            found[name] = find_binary(name, getattr(options, name, None))
        except Unavailable as missing:
            print(f"skipped: {missing}", file=sys.stderr)
    return found


def attempt(bench, question, name, binary, flags):
    """A row; one that says why there is none when it went wrong: the others go on."""
    label = "+".join([name, *sorted(flags)])
    running = list(bench.processes)
    try:
        row = question.ask(bench, lambda backends: Proxy(bench, name, binary, backends, flags))
    except (RuntimeError, OSError, ValueError, TypeError, subprocess.SubprocessError) as error:
        print(f"no result: {label}: {type(error).__name__} {error}", file=sys.stderr)
        for process in [p for p in bench.processes if p not in running]:
            bench.stop(process)
        return {"peer": label, "failed": str(error)}
    return {"peer": label, **row}


def measure(bench, name, question, peers, rounds):
    """Each peer in each of its variants, round by round; medians of the rounds."""
    samples = {}
    for number in range(rounds):
        for peer, binary in peers.items():
            for flags in PEERS[peer].get("variants", {}).get(name, [[]]):
                row = attempt(bench, question, peer, binary, flags)
                if "failed" not in row:
                    samples.setdefault(row["peer"], []).append(row)
        print(f"{name}: round {number + 1}/{rounds}, load average {os.getloadavg()[0]:.1f}",
              file=sys.stderr)
    rows = []
    for label, many in samples.items():
        rows.append({"peer": label, "rounds": len(many)} |
                    {c: statistics.median(r[c] for r in many) for c in question.COLUMNS} |
                    {f"{c}_worst": max(r[c] for r in many) for c in question.COLUMNS})
    return rows, samples


def show(value):
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.4g}"


def table(question, rows):
    lines = [f"**{question.TITLE}**", "", "| | " + " | ".join(question.COLUMNS) + " |",
             "| --- |" + " ---: |" * len(question.COLUMNS)]
    for row in rows:
        lines.append(f"| {row['peer']} | " + " | ".join(
            f"{show(row[c])}" + (f" ({show(row[c + '_worst'])})" if c not in ("rps", "requests") else "")
            for c in question.COLUMNS) + " |")
    lines.append("| bar | " + " | ".join(question.BARS.get(c, "") for c in question.COLUMNS) + " |")
    return "\n".join(lines) + "\n"


def write(options, result, text):
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1) + "\n")
    if options.markdown:
        pathlib.Path(options.markdown).write_text(
            f"{result['time']}; median of {options.rounds} rounds (in brackets the worst).\n\n{text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("questions", nargs="*", metavar="QUESTION",
                        help=f"of {', '.join(QUESTIONS)} (default: all)")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--markdown", metavar="FILE")
    for name in PEERS:
        parser.add_argument(f"--{name}", metavar="PATH", help="its executable")
    options = parser.parse_args()
    chosen = options.questions or list(QUESTIONS)
    if unknown := [name for name in chosen if name not in QUESTIONS]:
        parser.error(f"'{unknown[0]}' is none of {', '.join(QUESTIONS)}")
    bench, result = Bench(), {"time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())}
    text = ""
    try:
        build(bench)
        peers = binaries(options)
        for name in chosen:
            rows, samples = measure(bench, name, QUESTIONS[name], peers, options.rounds)
            result[name] = {"rows": rows, "samples": samples}
            text += table(QUESTIONS[name], rows) + "\n"
            write(options, result, text)        # after each question: what was measured stays when the next is interrupted
    finally:
        bench.close()
    print(text, end="")


if __name__ == "__main__":
    main()
