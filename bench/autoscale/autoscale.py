#!/usr/bin/env python3
"""What each way of scaling costs and drops, by `tidegate backtest` on real traffic: the 1998 World Cup site, as it
was and with campaigns and spikes added. Writes result.json and result.md beside this file; see README.md."""
import argparse
import csv
import dataclasses
import datetime
import gzip
import json
import os
import pathlib
import random
import resource
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TRAFFIC = pathlib.Path(os.environ.get("TRAFFIC", ROOT / "../shared/data/traffic"))
PRICE, MARGIN = "0.10", "0.002"     # an hour of an instance, a request: those of the example shop
CALM_FIRST, CALM_DAYS = "1998-05-25", 14    # without matches and without the bursts that nobody can explain
MATCHES_FIRST, MATCHES_DAYS = "1998-06-08", 35
POLICIES = ["predictive", "reactive", "hpa", "oracle"]
MARGINS = ["0.00002", "0.00004", "0.00006", "0.00008", "0.0001", "0.00015", "0.0002", "0.0004", "0.001", "0.002"]
HOURS = [10, 12, 16, 18, 20, 9, 14]  # at which campaigns begin, one after the other


@dataclasses.dataclass
class Case:
    question: str
    name: str
    rows: list
    events: list = dataclasses.field(default_factory=list)
    startup: str = "300s"
    unit: str = "50/s"
    margin: str = MARGIN
    policies: list = dataclasses.field(default_factory=lambda: list(POLICIES))
    crowds: list = dataclasses.field(default_factory=list)      # rows at which one begins that nobody announced


def read_traffic():
    with gzip.open(TRAFFIC / "wc98_requests_1min.csv.gz", "rt") as file:
        return [(datetime.datetime.fromisoformat(row["timestamp"].replace("Z", "+00:00")), float(row["requests"]))
                for row in csv.DictReader(file)]


def days(rows, first, count):
    start = datetime.datetime.fromisoformat(first).replace(tzinfo=datetime.timezone.utc)
    end = start + datetime.timedelta(days=count)
    return [row for row in rows if start <= row[0] < end]


def factor(minute, peak, rise_min, hold_min):
    """Of demand, `minute` minutes after the beginning: a ramp, a plateau, half of it every ten minutes."""
    if minute < 0:
        return 1
    rise = min(1, (minute + 0.5) / rise_min)
    over = max(0, minute - hold_min)
    return 1 + (peak - 1) * rise * 0.5 ** (over / 10)


def add_surges(rows, every_days, peak, rise_min, hold_min, guess):
    """The rows with a surge on every so manieth day, and what was announced (guess None: nothing)."""
    counts = [count for _, count in rows]
    events = []
    dice = random.Random(1998)
    for number, day in enumerate(range(1, len(rows) // 1440, every_days)):
        at = day * 1440 + HOURS[number % len(HOURS)] * 60
        for minute in range(min(hold_min + 90, len(rows) - at)):
            counts[at + minute] *= factor(minute, peak, rise_min, hold_min)
        if guess is not None:
            said = peak * (dice.uniform(0.5, 1.5) if guess == "mixed" else guess)
            end = rows[at][0] + datetime.timedelta(minutes=hold_min)
            events.append((rows[at][0], end, f"Mailing {number + 1}", "mail", round(said, 2)))
    return [(row[0], count) for row, count in zip(rows, counts)], events


def least_unserved(case):
    """Share that nobody can serve who learns of a crowd when it begins, orders all it will take in that very second,
    and before it has a tenth more than was needed then."""
    counts, startup_min = [count for _, count in case.rows], int(case.startup[:-1]) / 60
    lost = 0
    for at in case.crowds:
        had = 1.1 * counts[at - 1]
        for minute in range(int(startup_min + 0.999)):
            lost += max(0, counts[at + minute] - had) * min(1, startup_min - minute)
    return lost / sum(counts)


def stamp(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def backtest(program, case, folder):
    data, calendar = folder / "demand.csv", folder / "events.csv"
    data.write_text("time,requests\n" + "".join(f"{stamp(at)},{count:.0f}\n" for at, count in case.rows))
    calendar.write_text("start,end,name,kind,multiplier\n" +
                        "".join(f"{stamp(a)},{b and stamp(b)},{n},{k},{m}\n" for a, b, n, k, m in case.events))
    command = [str(program), "backtest", str(data), "--unit-capacity", case.unit, "--startup", case.startup,
               "--price", PRICE, "--margin", case.margin, "--min", "2", "--json"]
    command += [word for policy in case.policies for word in ("--policy", policy)]
    command += ["--events", str(calendar)] if case.events else []
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    answer = json.loads(done.stdout)
    for result in answer.values():
        result["of_ideal"] = result["instance_hours"] / result["ideal_instance_hours"]
        if "oracle" in answer:
            result["of_oracle"] = result["instance_hours"] / answer["oracle"]["instance_hours"]
    least = {"least_unserved_share": least_unserved(case)} if case.crowds else {}
    return {**least, "question": case.question, "case": case.name, "policies": answer,
            "cpu_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "wall_s": time.monotonic() - begun}


def cases(rows):
    calm = days(rows, CALM_FIRST, CALM_DAYS)
    said = {1: "right", 0.5: "half", 1.5: "half too much", "mixed": "±50 %"}
    for unit in ("50/s", "20/s"):
        for peak, rise in ((5, 2), (8, 1)):
            for startup in ("90s", "300s"):
                for guess, words in said.items():
                    if unit == "50/s" or guess == "mixed":
                        yield Case("announced", f"×{peak} in {rise} min, start-up {startup}, guess {words}, {unit}",
                                   *add_surges(calm, 2, peak, rise, 60, guess), startup, unit)
    for peak, rise in ((5, 2), (8, 1)):
        for startup in ("90s", "300s"):
            yield Case("unannounced", f"one ×{peak} in {rise} min a week, start-up {startup}",
                       *add_surges(calm, 7, peak, rise, 30, None), startup,
                       crowds=[day * 1440 + HOURS[n] * 60 for n, day in enumerate(range(1, CALM_DAYS, 7))])
    for unit in ("50/s", "20/s", "5/s"):
        yield Case("smooth", f"14 days, 300 s, {unit}", calm, [], "300s", unit)
    yield Case("real", "35 days of matches, nothing added", days(rows, MATCHES_FIRST, MATCHES_DAYS))
    for margin in MARGINS:
        yield Case("frontier", f"87 days, margin {margin}", rows, [], "300s", "50/s", margin,
                   ["predictive", "reactive", "hpa", "oracle"] if margin == MARGINS[0] else ["predictive"])
    year = [(rows[0][0] + datetime.timedelta(minutes=i), rows[i % len(rows)][1]) for i in range(525600)]
    yield Case("year", "525,600 minutes, predictive", year, [], "90s", "50/s", MARGIN, ["predictive"])
    yield Case("year", "525,600 minutes, four policies", year, [], "90s", "50/s")


def table(results):
    lines = ["| question | case | policy | of the oracle's cost | of the ideal | over capacity, % | changes |",
             "| --- | --- | --- | ---: | ---: | ---: | ---: |"]
    for result in results:
        for policy, r in result["policies"].items():
            oracle = f"{r['of_oracle']:.3f}" if "of_oracle" in r else "–"
            lines.append(f"| {result['question']} | {result['case']} | {policy} | {oracle} | {r['of_ideal']:.3f} | "
                         f"{100 * r['unserved_share']:.4f} | {r['scale_actions']} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/tidegate")
    parser.add_argument("--only", help="one question")
    options = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(read_traffic()):
            if options.only in (None, case.question):
                results.append(backtest(options.program, case, pathlib.Path(folder)))
                print(f"{case.question}: {case.name}: " + ", ".join(
                    f"{p} {r.get('of_oracle', r['of_ideal']):.3f} {100 * r['unserved_share']:.4f} %"
                    for p, r in results[-1]["policies"].items()) + f"; {results[-1]['cpu_s']:.1f} s of CPU", flush=True)
    if options.only is None:
        (HERE / "result.json").write_text(json.dumps(results, indent=1) + "\n")
        years = [f"A year of minutes: {r['case']}: {r['cpu_s']:.1f} s of CPU, {r['wall_s']:.1f} s." for r in results
                 if r["question"] == "year"]
        least = [f"No one who learns of it when it begins can serve more: {r['case']}: "
                 f"{100 * r['least_unserved_share']:.4f} % over capacity at least."
                 for r in results if "least_unserved_share" in r]
        (HERE / "result.md").write_text("\n".join(["# Result of bench/autoscale", ""] + table(results) + [""] + least + years)
                                        + "\n")


if __name__ == "__main__":
    main()
