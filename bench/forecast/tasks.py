"""Tasks of the forecast benchmark: series, origins, and what was known at each origin."""
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
DATA = Path(os.environ.get("TRAFFIC", HERE / "../../../shared/data/traffic"))
QUANTILES = [0.1, 0.5, 0.9, 0.95]


def load_tasks():
    return {t["name"]: t for t in json.loads((HERE / "tasks.json").read_text())["tasks"]}


def parse_time(text):
    """Clock of the series as written; a trailing Z is dropped (no conversion)."""
    return pd.to_datetime(pd.Series(text).astype(str).str.rstrip("Z")).to_numpy("datetime64[s]")


def format_time(task, time):
    text = str(time.astype("datetime64[s]"))
    return {"date": text[:10], "utc": text + "Z", "local": text}[task["clock"]]


def load_series(task, data=DATA):
    """Frame indexed by interval start: y (NaN = not recorded) and the columns known ahead."""
    raw = pd.read_csv(Path(data) / task["file"])
    frame = pd.DataFrame({"y": raw[task["column"]].astype(float)})
    for name in task["known_ahead"]:
        if name in raw:
            frame[name] = raw[name].astype(float)
    frame.index = parse_time(raw.iloc[:, 0])
    n = task["aggregate"]
    if n > 1:
        frame = frame.iloc[: len(frame) // n * n]
        group = np.arange(len(frame)) // n
        start = frame.index[::n]
        y = frame["y"].to_numpy().reshape(-1, n)
        out = {"y": y.sum(1) if task["how"] == "sum" else y.mean(1)}  # NaN if any part is missing
        out.update({c: frame[c].groupby(group).max().to_numpy() for c in frame.columns[1:]})
        frame = pd.DataFrame(out, index=start)
    if "calendar_holiday" in task["known_ahead"]:
        days = pd.read_csv(Path(data) / "calendar_holidays.csv", keep_default_na=False)
        days = days[(days.country == task["holidays"]) & (days.region == "") & (days.type == "public")]
        frame["calendar_holiday"] = np.isin(frame.index.to_numpy().astype("datetime64[D]"),
                                            days.date.to_numpy("datetime64[D]")).astype(float)
    return frame


def split(task, frame, origin):
    """Training window and the rows to forecast. Rows with start < origin are known."""
    at = np.datetime64(origin.rstrip("Z"), "s")
    times = frame.index.to_numpy().astype("datetime64[s]")
    cut = int(np.searchsorted(times, at))
    end = int(np.searchsorted(times, at + np.timedelta64(task["horizon_s"], "s")))
    return frame.iloc[max(0, cut - task["window_rows"]):cut], frame.iloc[cut:end]


def scale(task, train):
    """Seasonal-naive mean absolute error inside the training window."""
    y, m = train["y"].to_numpy(), task["seasons"][0]
    return float(np.nanmean(np.abs(y[m:] - y[:-m])))


def fill(y, season):
    """Gaps for peers that refuse them: up to 3 steps straight, longer ones from one season before."""
    y = pd.Series(y).copy()
    gap = y.isna()
    run = gap.groupby((~gap).cumsum()).transform("sum")
    straight = y.interpolate(limit_direction="both")
    y[gap & (run <= 3)] = straight[gap & (run <= 3)]
    y = y.to_numpy()
    for i in np.flatnonzero(np.isnan(y)):
        y[i] = y[i - season] if i >= season else straight[i]
    return y


def known_events(task, data=DATA):
    """Scheduled events only, in the columns of events.csv; outcomes in labels are removed."""
    if not task["events"]:
        return None
    ev = pd.read_csv(Path(data) / "events.csv", keep_default_na=False)
    ev = ev[(ev.series == task["events"]) & (ev.known == "scheduled") & (ev.kind != "sale_season")].copy()
    ev["label"] = ev.label.str.replace(r"\s*\(went to extra time\)", "", regex=True)
    same = ev.start == ev.end
    ev.loc[same, "end"] = (pd.to_datetime(ev.start[same]) + pd.Timedelta("1D")).dt.strftime("%Y-%m-%d")
    ev["source"] = ""
    return ev
