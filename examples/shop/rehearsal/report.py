"""What came of a rehearsal: the status line, rehearsal.json and the words. Pure."""
import dataclasses
import datetime

from rehearsal.timeline import utc

STAGES = ("browse", "search", "product", "cart", "checkout")
PAID_STATES = ("starting", "warm", "serving", "ejected", "draining")
FAULT_WINDOW_S = 10         # failures so long after a fault are put down to it
SPIKE_FIRST_SECONDS = 5     # in which an unannounced spike may overwhelm


def number(value):
    """0 for what is not known."""
    return value if isinstance(value, (int, float)) else 0


@dataclasses.dataclass
class Second:
    """What Tidegate said of one service at one moment."""
    time: float
    offered_rps: float
    forecast_rps: float
    capacity_rps: float
    refused_rps: float
    failed_rps: float
    p95_ms: float
    states: dict
    instance_capacity_rps: float
    lead_ms: float

    @classmethod
    def of(cls, time, service):
        states = {}
        for instance in service["instances"]:
            states[instance["state"]] = states.get(instance["state"], 0) + 1
        return cls(time, *(number(service.get(name)) for name in (
            "demand_rps", "forecast_rps", "capacity_rps", "refused_rps", "failed_rps")),
            number((service.get("latency_ms") or {}).get("p95")), states,
            number(service.get("instance_capacity_rps")), number(service.get("lead_ms")))

    @property
    def paid(self):
        return sum(self.states.get(state, 0) for state in PAID_STATES)


HEADING = ("  time   offered  forecast  capacity   serving+warm+starting    p95   refused   failed")


def status_line(at, second, refused, failed, events):
    """`at` is seconds since the first request; refused and failed are totals so far."""
    states = "+".join(str(second.states.get(s, 0)) for s in ("serving", "warm", "starting"))
    minutes, seconds = divmod(max(0, int(at)), 60)
    said = "   " + "; ".join(events) if events else ""
    return (f"{minutes:3d}:{seconds:02d} {second.offered_rps:8.0f}/s {second.forecast_rps:7.0f}/s "
            f"{second.capacity_rps:7.0f}/s {states:>12s} {second.p95_ms:14.0f} ms "
            f"{refused:9.0f} {failed:8.0f}{said}")


def instance_hours(seconds):
    """Paid instances over time, by the trapezium rule."""
    return sum((a.paid + b.paid) / 2 * (b.time - a.time)
               for a, b in zip(seconds, seconds[1:])) / 3600


def failed_between(seconds, start, end):
    return round(sum(s.failed_rps for s in seconds if start < s.time <= end))


def unix(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def fault_entry(fault, decisions, seconds):
    """How a fault went: fault = {kind, at (unix), instance}. Decisions as the API lists them.

    It was noticed with the first decision about that instance, and healed when the decision that
    brought its replacement says so; times count from our signal, not from Tidegate's suspicion."""
    later = sorted((d for d in decisions if unix(d["time"]) >= fault["at"] - 0.005),
                   key=lambda d: d["id"])
    about = [d for d in later if d["subject"] == fault["instance"]]
    noticed_ms = max(0.0, (unix(about[0]["time"]) - fault["at"]) * 1000) if about else None
    healed_ms = None
    if about:
        known = [d for d in later if d["id"] >= about[0]["id"] and d.get("healed_ms") is not None
                 and (d in about or d["action"] == "promote")]
        if known:
            took = number(known[0]["healed_ms"]) - number(known[0].get("noticed_ms"))
            healed_ms = noticed_ms + max(0.0, took)
    return {"kind": fault["kind"], "at": utc(fault["at"], "milliseconds"),
            "noticed_ms": rounded(noticed_ms), "healed_ms": rounded(healed_ms),
            "failed": failed_between(seconds, fault["at"], fault["at"] + FAULT_WINDOW_S)}


def rounded(value, digits=1):
    return None if value is None else round(value, digits)


def reactive_entry(policy, requests):
    """The same fields, of what backtest computed. It has no latency: that model knows none."""
    unserved = round(policy["unserved_requests"])
    return {"requests": requests, "served": requests - unserved, "refused": unserved, "failed": 0,
            "latency_ms": {}, "instance_hours": round(policy["instance_hours"], 4),
            "cost": round(policy["cost"], 6), "max_instances": policy["max_instances"]}


def rehearsal_json(replayed, seconds, price, backtest, faults):
    """var/rehearsal.json. `replayed` is the report of `tidegate replay`: what visitors saw."""
    hours = instance_hours(seconds)
    return {
        "requests": replayed["requests"], "served": replayed["served"],
        "refused": replayed["refused"], "failed": replayed["failed"],
        "latency_ms": {stage: {p: rounded(values.get(p)) for p in ("p50", "p95", "p99")}
                       for stage, values in replayed["latency_ms"].items()},
        "instance_hours": round(hours, 4), "cost": round(hours * price, 6),
        "max_instances": max((s.paid for s in seconds), default=0),
        "reactive": reactive_entry(backtest["reactive"], replayed["requests"]),
        "faults": faults,
    }


def campaign_entry(seconds, start, end):
    """Whether the campaign was met: what could be carried as it began beside what then came."""
    before = [s for s in seconds if s.time <= start]
    during = [s for s in seconds if start < s.time <= end]
    if not before or not during:
        return None
    return {"capacity_rps_at_start": before[-1].capacity_rps,
            "serving_at_start": before[-1].states.get("serving", 0),
            "offered_rps_max": max(s.offered_rps for s in during),
            "refused": round(sum(s.refused_rps for s in during)),
            "failed": round(sum(s.failed_rps for s in during))}


def failed_outside_spike(seconds, spike):
    """Failures but for the spike's first seconds; `spike` is unix time."""
    return (failed_between(seconds, 0, spike) +
            failed_between(seconds, spike + SPIKE_FIRST_SECONDS, float("inf")))


def share(part, whole):
    return f"{100 * part / whole:.2f} %" if whole else "-"


def ms(value):
    return "-" if value is None else f"{value:.0f} ms"


def outcome_lines(result, currency):
    other = result["reactive"]
    rows = [("", "Tidegate", "reactive, on the same trace"),
            ("requests", f"{result['requests']}", f"{other['requests']}"),
            ("served", f"{result['served']} ({share(result['served'], result['requests'])})",
             f"{other['served']} ({share(other['served'], other['requests'])})"),
            ("refused", f"{result['refused']}", f"{other['refused']}"),
            ("failed", f"{result['failed']}", f"{other['failed']}"),
            ("instance-hours", f"{result['instance_hours']:.3f}", f"{other['instance_hours']:.3f}"),
            ("cost", f"{result['cost']:.4f} {currency}", f"{other['cost']:.4f} {currency}"),
            ("most instances", f"{result['max_instances']}", f"{other['max_instances']}")]
    return [f"  {name:<16}{ours:<24}{theirs}" for name, ours, theirs in rows]


def latency_lines(result):
    lines = ["  latency by stage      p50        p95        p99"]
    known = result["latency_ms"]
    for stage in [s for s in STAGES if s in known] + [s for s in known if s not in STAGES]:
        lines.append(f"    {stage:<12}" + "".join(f"{ms(known[stage][p]):>11}"
                                                  for p in ("p50", "p95", "p99")))
    return lines


def fault_line(fault):
    what = {"kill": "An instance was killed", "hang": "An instance was stopped in mid-work"}
    if fault["noticed_ms"] is None:
        return f"{what[fault['kind']]}: nobody noticed."
    healed = ("and it was not healed" if fault["healed_ms"] is None
              else f"healed after {ms(fault['healed_ms'])}")
    return (f"{what[fault['kind']]}: noticed after {ms(fault['noticed_ms'])}, {healed}; "
            f"{fault['failed']} requests failed.")


def campaign_line(campaign):
    if campaign is None:
        return "The campaign was not seen."
    met = campaign["capacity_rps_at_start"] >= campaign["offered_rps_max"]
    verdict = "with its instances already warm" if met else "with too few instances"
    return (f"The announced campaign was met {verdict}: {campaign['serving_at_start']} served as it "
            f"began and could carry {campaign['capacity_rps_at_start']:.0f}/s, "
            f"{campaign['offered_rps_max']:.0f}/s came.")


def words(result, campaign, predicted, currency):
    """The report, as lines. `predicted` is what backtest says of the policy predictive."""
    lines = ["", "How it went", *outcome_lines(result, currency), *latency_lines(result), "",
             campaign_line(campaign)]
    lines += [fault_line(fault) for fault in result["faults"]]
    lines.append(
        f"Computed like the reactive one, the predictive policy takes "
        f"{predicted['instance_hours']:.3f} instance-hours and leaves "
        f"{round(predicted['unserved_requests'])} requests unserved. Both are what-ifs without "
        "spares and faults; the left column is what was measured, spares paid.")
    return lines
