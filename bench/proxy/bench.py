#!/usr/bin/env python3
"""CPU time per request of Tidegate and its peers, side by side. README.md: how, and how far to trust it."""
import argparse
import collections
import json
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time
import tomllib

from processes import HERE, Bench, Peer, Unavailable, cpu_us, get, tree

CONNECTIONS = 32
VISITS = 8000               # of one sample of new_connection
US = "tidegate"
POST_SCRIPT = ('wrk.method = "POST"\nwrk.body = string.rep("x", 1024)\n'
               'wrk.headers["Content-Type"] = "application/octet-stream"\n')


def field(pattern, output):
    found = re.search(pattern, output)
    if not found:
        raise RuntimeError(f"no '{pattern}' in: {output.strip()[-300:]}")
    return found[1]


def wrk(peer, path, seconds, *arguments):
    output = peer.bench.load(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", *arguments,
                              f"http://127.0.0.1:{peer.port}{path}"])
    bad = sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", output))
    for errors in re.findall(r"Socket errors: (.*)", output):
        bad += sum(int(n) for n in re.findall(r"\d+", errors))
    return {"requests": int(field(r"(\d+) requests in", output)), "bad": bad}


def visits(peer, path):
    output = peer.bench.load([peer.bench.dir / "visits", peer.port, path, VISITS, CONNECTIONS])
    return {"requests": int(field(r"requests=(\d+)", output)),
            "bad": int(field(r"bad=(\d+)", output))}


def cases(seconds):
    """Name, what it is in words, how a sample is taken."""
    return {
        "get_1k": ("GET 1 KiB, keep-alive", lambda peer: wrk(peer, "/b/1024", seconds)),
        "get_64k": ("GET 64 KiB, keep-alive", lambda peer: wrk(peer, "/b/65536", seconds)),
        "new_connection": ("GET 1 KiB, a new connection each", lambda peer: visits(peer, "/b/1024")),
        "post_1k": ("POST 1 KiB, answer 1 KiB, keep-alive",
                    lambda peer: wrk(peer, "/b/1024", seconds, "-s", peer.bench.dir / "post.lua")),
    }


def check_answers(peer):
    """wrk counts statuses, not bytes: each peer shows first that it passes on what it is given."""
    for path, body, bytes_wanted in (("/b/1024", None, 1024), ("/b/65536", None, 65536),
                                     ("/b/1024", b"x" * 1024, 1024)):
        if get(peer.port, path, body) != (200, bytes_wanted):
            raise RuntimeError(f"{peer.name} does not answer {path} as the backend does")


def take_sample(peer, run):
    pids = tree(peer.process.pid)
    workers = peer.worker_pids()
    before_us, worker_before_us, begin = cpu_us(pids), cpu_us(workers), time.monotonic()
    result = run(peer)
    worker_us, all_us = cpu_us(workers) - worker_before_us, cpu_us(pids) - before_us
    if set(tree(peer.process.pid)) != set(pids) or peer.worker_pids() != workers:
        raise RuntimeError(f"{peer.name}: its processes changed during the sample")
    requests = max(1, result["requests"])
    return {**result, "worker_us": worker_us / requests, "all_us": all_us / requests,
            "others_ms_per_s": round((all_us - worker_us) / 1000 / (time.monotonic() - begin), 3)}


def turn_of(peers, number):
    """Another peer begins each round, and every second round goes backwards."""
    shift = number % len(peers)
    turn = peers[shift:] + peers[:shift]
    return turn[::-1] if number % 2 else turn


def measure(peers, chosen, rounds):
    samples = collections.defaultdict(list)
    for number in range(-1, rounds):     # round -1 warms up and is thrown away
        for name, (_, run) in chosen.items():
            for peer in turn_of(peers, number):
                sample = take_sample(peer, run)
                if number >= 0:
                    samples[name, peer.name].append(sample)
        print(f"round {number + 1}/{rounds}, load average {os.getloadavg()[0]:.1f}", file=sys.stderr)
    return samples


def spread(values):
    """The middle half as well: one neighbour's burst during one sample makes the extremes."""
    lower, _, upper = (statistics.quantiles(values, method="inclusive") if len(values) > 1
                       else values * 3)
    return {"median": statistics.median(values), "lower_quartile": lower, "upper_quartile": upper,
            "min": min(values), "max": max(values)}


def ratio(mine, theirs):
    """Round by round, and only then the median: what slows the machine slows both."""
    return spread([m["worker_us"] / t["worker_us"] for m, t in zip(mine, theirs)])


def cheapest(samples, case, names):
    return min(names, default=None, key=lambda name: statistics.median(
        sample["worker_us"] for sample in samples[case, name]))


def summarize(samples, case, names):
    relays = [name for name in names if name.startswith("relay_")]
    rivals = [name for name in names if name not in relays and not name.startswith(US)]
    best, floor = cheapest(samples, case, rivals), cheapest(samples, case, relays)
    rows = []
    for name in names:
        mine = samples[case, name]
        row = {"case": case, "peer": name, "rounds": len(mine),
               "requests": sum(s["requests"] for s in mine), "bad": sum(s["bad"] for s in mine)}
        for key in ("worker_us", "all_us", "others_ms_per_s"):
            row[key] = spread([s[key] for s in mine])
        for key, other in (("x_best_peer", best), ("x_nginx", "nginx"), ("x_relay", floor)):
            if other in names:
                row[key] = {**ratio(mine, samples[case, other]), "of": other}
        rows.append(row)
    return rows


def build_type(binary):
    """Release or not, and link-time optimised or not, from the meson folder that the binary is in."""
    file = pathlib.Path(binary).parent / "meson-info" / "intro-buildoptions.json"
    if not file.exists():
        return "unknown"
    options = {option["name"]: option["value"] for option in json.loads(file.read_text())}
    return f"{options['buildtype']}{', LTO' if options['b_lto'] else ''}"


def machine():
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "-")
    return {"cpu": model[1] if model else platform.machine(), "cpus": os.cpu_count(),
            "kernel": platform.release(), "system": system}


def commit():
    shown = subprocess.run(["git", "-C", HERE, "describe", "--always", "--dirty"],
                           capture_output=True, text=True, check=False)
    return shown.stdout.strip() or "unknown"


def cell(value, digits=1):
    return (f"{value['median']:.{digits}f} "
            f"({value['lower_quartile']:.{digits}f}–{value['upper_quartile']:.{digits}f})")


def ratio_cell(row, key):
    if key not in row or row[key]["of"] == row["peer"]:
        return "–"
    return cell(row[key], 2)


def markdown(result):
    where = result["machine"]
    lines = [f"{result['time']}, {where['cpus']} x {where['cpu']}, kernel {where['kernel']}, "
             f"{where['system']}; commit {result['commit']}, {result['build']}; "
             f"{result['rounds']} rounds, {CONNECTIONS} connections; "
             "median (lower–upper quartile of the rounds)."]
    for case, title in result["cases"].items():
        rows = sorted((r for r in result["rows"] if r["case"] == case),
                      key=lambda r: r["worker_us"]["median"])
        best = next((r["x_best_peer"]["of"] for r in rows if "x_best_peer" in r), "-")
        floor = next((r["x_relay"]["of"] for r in rows if "x_relay" in r), "-")
        lines += ["", f"**{title}** (best peer: {best}; floor: {floor})", "",
                  "| | worker, us | all processes, us | of nginx | of the best peer | of the floor "
                  "| requests | bad |", "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
        for row in rows:
            name = f"**{row['peer']}**" if row["peer"] == US else row["peer"]
            version = result["versions"][row["peer"]]
            lines.append(f"| {f'{name} {version}'.strip()} | {cell(row['worker_us'])} "
                         f"| {cell(row['all_us'])} | {ratio_cell(row, 'x_nginx')} "
                         f"| {ratio_cell(row, 'x_best_peer')} | {ratio_cell(row, 'x_relay')} "
                         f"| {row['requests']:,} | {row['bad']} |")
    return "\n".join(lines) + "\n"


def start_peers(bench, options):
    backend_port = bench.start_backend()
    peers = []
    for name in options.peers:
        try:
            peers.append(Peer(bench, name, backend_port, options.tidegate if name.startswith(US) else None))
            check_answers(peers[-1])
        except Unavailable as missing:
            print(f"skipped: {missing}", file=sys.stderr)
    return peers


def run(bench, options):
    for missing in bench.build():
        print(f"skipped: {missing}", file=sys.stderr)
    (bench.dir / "post.lua").write_text(POST_SCRIPT)
    peers = start_peers(bench, options)
    chosen = {name: case for name, case in cases(options.seconds).items()
              if name in options.cases}
    samples = measure(peers, chosen, options.rounds)
    names = [peer.name for peer in peers]
    rows = [row for case in chosen for row in summarize(samples, case, names)]
    return {"time": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "machine": machine(),
            "commit": commit(), "build": build_type(options.tidegate), "rounds": options.rounds,
            "seconds": options.seconds, "connections": CONNECTIONS,
            "versions": {peer.name: peer.version() for peer in peers},
            "cases": {name: title for name, (title, _) in chosen.items()}, "rows": rows,
            "samples": [{"case": case, "peer": name, **each}
                        for (case, name), many in samples.items() for each in many]}


def some_of(known):
    """The type of an option that lists some of what is known."""
    def chosen(text):
        for name in text.split(","):
            if name not in known:
                raise argparse.ArgumentTypeError(f"'{name}' is none of {', '.join(known)}")
        return text.split(",")
    return chosen


def read_options():
    everyone = list(tomllib.loads((HERE / "peers" / "peers.toml").read_text()))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tidegate", required=True, metavar="PATH", type=os.path.abspath)
    parser.add_argument("--peers", default=everyone, type=some_of(everyone))
    parser.add_argument("--cases", default=list(cases(1)), type=some_of(list(cases(1))))
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--seconds", type=int, default=1, help="of a sample (default 1)")
    parser.add_argument("--json", metavar="FILE", help="write every sample there")
    parser.add_argument("--markdown", metavar="FILE", help="write the tables there, too")
    return parser.parse_args()


def main():
    options = read_options()
    if len(os.sched_getaffinity(0)) < 2:
        sys.exit("bench: needs two CPUs, one for the proxy and one for backend and load")
    bench = Bench()
    try:
        result = run(bench, options)
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"bench: {error}")
    finally:
        bench.close()
    text = markdown(result)
    print(text, end="")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(result, indent=1) + "\n")
    if options.markdown:
        pathlib.Path(options.markdown).write_text(text)
    bad = sum(row["bad"] for row in result["rows"])
    if bad:
        sys.exit(f"bench: {bad} bad answers; a proxy that fails is not cheap")


if __name__ == "__main__":
    main()
