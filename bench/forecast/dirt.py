"""What faults in the history do to the forecast: dirt.py --program PATH [--tasks a,b] [--faults a,b] [--origins N] [--jobs N]

Real series; by a fixed seed one fault is put in before each origin, on the day before it or a week before. Three things are compared with the
forecast from the clean history: the error of the day ahead, the error at the hours at which the fault was, and how much is asked for there (0.95)."""
import argparse
import zlib
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from score import run_program
from tasks import DATA, load_series, load_tasks, scale, split

TASKS = ["twitter", "isp", "wc98", "bank_calls", "website_sessions", "grocery_sales", "bike_share", "melbourne_station"]
MINUTE, HOUR, DAY = 60, 3600, 86400


def slots(task, seconds):
    step = {"5m": 300, "15m": 900, "1h": 3600}[task["step"]]
    return seconds / step


def span(task, at, seconds):
    """Slots from `at` on and the share of each that is covered."""
    length = slots(task, seconds)
    whole = int(np.ceil(length))
    shares = np.ones(whole)
    shares[-1] = length - (whole - 1)
    return slice(at, at + whole), shares


def times(factor):
    def put(task, y, at, _):
        where, share = span(task, at, put.seconds)
        y[where] *= 1 + (factor - 1) * share
        return where
    return put


def fault(seconds, put):
    put.seconds = seconds
    return put


def gap(task, y, at, _):
    where, _ = span(task, at, gap.seconds)
    y[where] = np.nan
    return where


def stuck(task, y, at, _):
    where, _ = span(task, at, stuck.seconds)
    y[where] = y[at]
    return where


def repeated(task, y, at, _):
    where, _ = span(task, at, HOUR)
    n = where.stop - where.start
    y[where] = y[where.start - n:where.start]
    return where


def shift(task, y, at, _):
    y[at:] *= 1.5
    return slice(at, len(y))


def nightly(task, y, at, cut):
    """Every night since, the coming one too: a pattern, not a fault; what counts is that it is foreseen."""
    season = task["seasons"][0]
    for night in range(at, len(y), season):
        where, share = span(task, night, 40 * MINUTE)
        part = y[where]
        y[where] = part * (1 + 3 * share[:len(part)])
    where, _ = span(task, at, 40 * MINUTE)
    return where


FAULTS = {
    "outage to 0, 3 h": fault(3 * HOUR, times(0)), "outage to 10 %, 3 h": fault(3 * HOUR, times(0.1)),
    "burst x4, 40 min": fault(40 * MINUTE, times(4)), "burst x10, 40 min": fault(40 * MINUTE, times(10)),
    "gap, 6 h": fault(6 * HOUR, gap), "gauge stuck, 6 h": fault(6 * HOUR, stuck),
    "an hour twice": fault(HOUR, repeated), "counted twice, 1 h": fault(HOUR, times(2)),
    "burst every night": fault(40 * MINUTE, nightly), "level x1.5, stays": fault(0, shift),
}


def naive(task, train, steps):
    """The better seasonal naive is chosen on the clean series by the caller: both are returned."""
    y = train["y"].to_numpy()
    out = []
    for m in task["seasons"]:
        past = [y[len(y) - m + i % m] for i in range(steps)]
        out.append([p if not np.isnan(p) else y[len(y) - 2 * m + i % m] for i, p in enumerate(past)])
    return np.array(out)


def judge(task, truth, q, s, hours):
    error = np.abs(truth - q[:, 1]) / s
    return np.nanmean(error), np.nanmean(error[hours]), np.nansum(q[hours, 3])


def place(task, y, cut, back_days, rng):
    """A slot in the day that ends an hour or more before the origin, where demand is usual or more."""
    day, season = int(slots(task, DAY)), task["seasons"][0]
    if day > season:
        day = season
    first = cut - day * back_days
    if back_days == 1:
        fit = [first + i for i in range(int(day * 0.05), int(day * 0.7))]
    else:
        fit = [first + i for i in range(0, int(day * 0.8))]
    usual = np.nanmedian(y[cut - 7 * season:cut])
    fit = [i for i in fit if y[i] >= usual * 0.7] or fit
    return int(rng.choice(fit))


def origin_rows(args):
    program, name, task, origin, names, data = args
    frame = load_series(task, data)
    train, future = split(task, frame, origin)
    s, cut = scale(task, train), len(train)
    q_clean = run_program(program, task, train, future, origin, data)
    rows = []
    for number, (label, back) in enumerate([(f, b) for f in FAULTS for b in (1, 7)]):
        if names and label not in names:
            continue
        rng = np.random.default_rng(zlib.crc32(f"{name} {origin} {number}".encode()))
        y = np.concatenate([train["y"].to_numpy(), future["y"].to_numpy()])
        season = task["seasons"][0]
        days = task["seasons"][1] // season if back == 7 else 1
        at = place(task, y, cut, days, rng)
        clean = y.copy()
        where = FAULTS[label](task, y, at, cut)
        stays = label in ("level x1.5, stays", "burst every night")
        truth = y[cut:] if stays else clean[cut:]
        dirty = train.copy()
        dirty["y"] = y[:cut]
        hours = np.unique((np.arange(where.start, min(where.stop, cut)) - cut) % season)
        hours = hours[hours < len(truth)]
        if np.isnan(truth[hours]).all():
            continue
        f2 = future.copy()
        q = run_program(program, task, dirty, f2, origin, data)
        unit = 1.5 if label.startswith("level") else 1
        factor = unit * np.ones(len(truth))
        reference = q_clean * factor[:, None]
        if label == "burst every night":
            with np.errstate(invalid="ignore", divide="ignore"):
                reference = q_clean * np.nan_to_num(truth / clean[cut:], nan=1)[:, None]
        n_clean, n_dirty = naive(task, train, len(truth)), naive(task, dirty, len(truth))
        best = int(np.argmin([np.nanmean(np.abs(clean[cut:] - n)) for n in n_clean]))
        as_q = lambda n: np.repeat(n[:, None], 4, axis=1)
        rows.append((label, back, judge(task, truth, reference, s * unit, hours), judge(task, truth, q, s * unit, hours),
                     judge(task, truth, as_q(n_clean[best] * truth / clean[cut:] if stays else n_clean[best]), s * unit, hours),
                     judge(task, truth, as_q(n_dirty[best]), s * unit, hours), name, origin))
    return rows


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    ap.add_argument("--program", required=True)
    ap.add_argument("--tasks", default=",".join(TASKS))
    ap.add_argument("--faults", default="", help="only these, split by ;")
    ap.add_argument("--origins", type=int, default=3, help="of each task")
    ap.add_argument("--offset", type=int, default=0, help="another offset: other origins")
    ap.add_argument("--jobs", type=int, default=1)
    ap.add_argument("--data", default=DATA)
    ap.add_argument("--each", action="store_true", help="every origin by itself")
    opt = ap.parse_args()
    tasks = load_tasks()
    work = []
    for name in opt.tasks.split(","):
        origins = tasks[name]["origins"]
        step = len(origins) // opt.origins
        work += [(opt.program, name, tasks[name], o, [f for f in opt.faults.split(";") if f], opt.data)
                 for o in origins[step // 2 + opt.offset::step][:opt.origins]]
    with ProcessPoolExecutor(opt.jobs) as pool:
        rows = [r for part in pool.map(origin_rows, work) for r in part]
    print(f"{len(work)} origins of {opt.tasks}; mean absolute error over the day ahead and at the hours of the fault, in units of the clean history's seasonal"
          "\nnaive; asked: sum of the 0.95 quantile at those hours, median over origins, as a multiple of what it is with a clean history\n")
    print("| fault | before the origin | day: clean | dirty | naive clean | naive dirty | hours: clean | dirty | naive dirty | asked | asked, highest |\n| --- | --- |" + " ---: |" * 9)
    for label in FAULTS:
        for back in (1, 7):
            part = [r for r in rows if r[0] == label and r[1] == back]
            if not part:
                continue
            m = lambda k, i: np.nanmean([r[k][i] for r in part])
            asked = [r[3][2] / r[2][2] for r in part if r[2][2] > 0]
            print(f"| {label} | {'a day' if back == 1 else 'a week'} | {m(2, 0):.3f} | {m(3, 0):.3f} | {m(4, 0):.3f} | {m(5, 0):.3f} | {m(2, 1):.3f} | {m(3, 1):.3f} | "
                  f"{m(5, 1):.3f} | {np.median(asked):.2f} | {np.max(asked):.2f} |")
    if opt.each:
        for r in rows:
            print(r[6], r[7], r[0], r[1], "day %.3f %.3f" % (r[2][0], r[3][0]), "hours %.3f %.3f" % (r[2][1], r[3][1]), "asked %.2f" % (r[3][2] / r[2][2] if r[2][2] else 0))


if __name__ == "__main__":
    main()
