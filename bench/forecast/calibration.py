"""How near is near? calibration.py DIR, the folder that `score.py --program PATH --keep DIR` filled.

A task has some 40 origins, and the misses of one origin come together: how far may the coverage of a forecaster lie from what
it says although it is exactly calibrated? From the probability integral transforms (PIT) of each task: they are made uniform by
their ranks, which is a calibrated forecaster whose misses come together as ours do (within an origin, in both tails, and from
origin to origin), and whole origins are drawn again in circular blocks. Where a value has a probability of its own (counts, nights
without orders) it stands for a share of the distribution, and the PIT is drawn from that share (randomised PIT: Czado, Gneiting
and Held, "Predictive Model Assessment for Count Data", Biometrics 2009); there a quantile covers more than its level says."""
import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from score import KEPT_QUANTILES
from tasks import load_series, load_tasks, parse_time, split

LEVELS = np.array(KEPT_QUANTILES)
LOW, HIGH, BOUND = 0.1, 0.9, 0.95
LIMITS = {"bound": (0.93, 0.97), "band": (0.77, 0.83)}
HORIZON_GROUPS = 4
DRAWS = 4000
BLOCKS_ORIGINS = (1, 2, 4)
BLOCK_SHOWN = 2
SIGNIFICANT = 2  # standard errors


def level_of(said, x, tied):
    """The level at which a row's quantiles reach `x`, between two of them linearly; `tied`: the highest of those that equal it,
    not the lowest. Outside all of them the end of what is possible: of `tied` the upper one."""
    row = np.arange(len(x))
    at = ((said <= x[:, None]) if tied else (said < x[:, None])).sum(1)
    left, right = np.clip(at - 1, 0, None), np.clip(at, None, len(LEVELS) - 1)
    width = said[row, right] - said[row, left]
    part = np.where(width > 0, (x - said[row, left]) / np.where(width > 0, width, 1), 0)
    inner = LEVELS[left] + part * (LEVELS[right] - LEVELS[left])
    first, last = (LEVELS[0], 1) if tied else (0, LEVELS[-1])
    return np.where(at == 0, first, np.where(at == len(LEVELS), last, inner))


def share_up_to(low, high, level):
    """How much of the shares from `low` to `high` lies up to `level`."""
    return np.where(high > low, np.clip((level - low) / np.where(high > low, high - low, 1), 0, 1), low <= level)


class Steps:
    """All scored steps of a task, origins in order: what was said and came, and the same of a calibrated forecaster."""

    def __init__(self, task, frame, forecasts, random):
        origins = list(dict.fromkeys(forecasts["origin"]))
        parts = [self.read_origin(task, frame, forecasts, i, o) for i, o in enumerate(origins)]
        self.origins = len(origins)
        self.origin, self.group, value, said = (np.concatenate(x) for x in zip(*parts))
        half = 0.5 if (said == np.floor(said)).all() else 0  # counts: what is rounded to the value
        low, high = level_of(said, value - half, False), level_of(said, value + half, True)
        q = {level: said[:, KEPT_QUANTILES.index(level)] for level in (LOW, HIGH, BOUND)}
        self.seen = {"bound": value <= q[BOUND], "band": (q[LOW] <= value) & (value <= q[HIGH])}
        self.randomised = {"bound": share_up_to(low, high, BOUND), "band": share_up_to(low, high, HIGH) - share_up_to(low, high, LOW)}
        pit = low + random.random(len(low)) * (high - low)
        uniform = (np.argsort(np.argsort(pit)) + 0.5) / len(pit)
        top = {level: level_of(said, q[level] + half, True) for level in (HIGH, BOUND)}
        self.calibrated = {"bound": uniform <= top[BOUND],
                           "band": (uniform > level_of(said, q[LOW] - half, False)) & (uniform <= top[HIGH])}

    @staticmethod
    def read_origin(task, frame, forecasts, number, origin):
        future = split(task, frame, origin)[1]
        part = forecasts[forecasts["origin"] == origin]
        assert (parse_time(part["time"]) == future.index.to_numpy()).all(), origin
        value = future["y"].to_numpy()
        ok = ~np.isnan(value)
        group = np.arange(len(value)) * HORIZON_GROUPS // len(value)
        return np.full(ok.sum(), number), group[ok], value[ok], part[[f"q{q}" for q in KEPT_QUANTILES]].to_numpy()[ok]


def draw_origins(count, block, random):
    """DRAWS rows of `count` origins, in circular blocks."""
    starts = random.integers(0, count, (DRAWS, -(-count // block)))
    return ((starts[:, :, None] + np.arange(block)) % count).reshape(DRAWS, -1)[:, :count]


def judge(steps, what, of, block, random):
    """Coverage of the steps `of`, and that of a calibrated forecaster: mean, standard error, how often inside the limits."""
    origin, hit = steps.origin[of], steps.calibrated[what][of]
    hits, counts = np.bincount(origin, hit, steps.origins), np.bincount(origin, minlength=steps.origins)
    drawn = draw_origins(steps.origins, block, random)
    mean = hits.sum() / counts.sum()
    widen = np.sqrt(steps.origins / (steps.origins - block))  # origins drawn are fewer than there could have been
    coverage = mean + widen * (hits[drawn].sum(1) / counts[drawn].sum(1) - mean)
    low, high = LIMITS[what]
    seen = steps.seen[what][of].mean()
    error = coverage.std()
    return {"seen": seen, "randomised": steps.randomised[what][of].mean(), "expected": mean, "error": error,
            "inside": low <= round(seen, 3) <= high, "chance": float(((low <= coverage) & (coverage <= high)).mean()),
            "off": (seen - mean) / error if error > 0 else 0.0}


def show_task_table(results, what):
    print(f"\n{what}: limits {LIMITS[what][0]:.2f} to {LIMITS[what][1]:.2f}, blocks of {BLOCK_SHOWN} origins\n"
          "| task | covers | randomised PIT | a calibrated one covers | its standard error | inside how often | we are off by, standard errors |\n"
          "| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for name, r in results.items():
        print(f"| {name} | {r['seen']:.3f}{'' if r['inside'] else ' !'} | {r['randomised']:.3f} | {r['expected']:.3f} | {r['error']:.3f} | "
              f"{r['chance']:.2f} | {r['off']:+.1f}{' *' if abs(r['off']) >= SIGNIFICANT else ''} |")


def count_line(results, title):
    inside, expected = sum(r["inside"] for r in results), sum(r["chance"] for r in results)
    deviation = np.sqrt(sum(r["chance"] * (1 - r["chance"]) for r in results))
    off = sum(abs(r["off"]) >= SIGNIFICANT for r in results)
    print(f"{title}: inside {inside} of {len(results)}, a calibrated one {expected:.1f} +- {deviation:.1f}; {off} off by {SIGNIFICANT} standard errors or more")


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("folder")
    ap.add_argument("--every", type=int, default=1, help="only every so many-th origin")
    opt = ap.parse_args()
    random = np.random.default_rng(1)
    tasks = {n: t for n, t in load_tasks().items() if (Path(opt.folder) / n / "program.csv").exists()}
    steps = {}
    for name, task in tasks.items():
        forecasts = pd.read_csv(Path(opt.folder) / name / "program.csv", dtype={"origin": str, "time": str})
        chosen = list(dict.fromkeys(forecasts["origin"]))[::opt.every]
        steps[name] = Steps(task, load_series(task), forecasts[forecasts["origin"].isin(chosen)], random)
    for what in LIMITS:
        whole = lambda s: np.ones(len(s.origin), bool)
        show_task_table({n: judge(s, what, whole(s), BLOCK_SHOWN, random) for n, s in steps.items()}, what)
        for block in BLOCKS_ORIGINS:
            count_line([judge(s, what, whole(s), block, random) for s in steps.values()], f"blocks of {block}")
        parts = {n: [judge(s, what, s.group == g, BLOCK_SHOWN, random) for g in range(HORIZON_GROUPS)] for n, s in steps.items()}
        print(f"\n{what} by quarter of the horizon (* off by {SIGNIFICANT} standard errors)\n| task | 1st | 2nd | 3rd | 4th |\n| --- |" + " ---: |" * HORIZON_GROUPS)
        for name, row in parts.items():
            print(f"| {name} | " + " | ".join(f"{r['seen']:.3f}{' *' if abs(r['off']) >= SIGNIFICANT else ''}" for r in row) + " |")
        means = [np.mean([row[g]["seen"] for row in parts.values()]) for g in range(HORIZON_GROUPS)]
        print("| **mean** | " + " | ".join(f"**{m:.3f}**" for m in means) + " |")
        count_line([r for row in parts.values() for r in row], "quarters")


if __name__ == "__main__":
    main()
