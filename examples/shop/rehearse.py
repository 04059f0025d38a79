#!/usr/bin/env python3
"""Rehearses a day of the example shop in three minutes: real traffic (the Amazon mentions of
2015-03-11), one campaign that the calendar announces, one spike that nobody announced, one instance
killed and one hung. `make run` calls it. Exit status: 0 done, 2 bad usage or input, 3 it broke."""
import argparse
import dataclasses
import fcntl
import http.client
import json
import os
import pathlib
import shutil
import signal
import sys
import time

from rehearsal import processes, report, timeline
from rehearsal.processes import Broke
from rehearsal.timeline import BadInput

HERE = pathlib.Path(__file__).resolve().parent
LEAD_S, LEAD_MAX_S = 20, 300    # from starting Tidegate to the first request
LATER = 3                   # so many times as long where that was too short for this machine
SCALE = 1.5                 # of the recorded counts, to requests a second
PORT, ADMIN = 8080, 9900    # when they are free
HEAL_PATIENCE_S = 15        # after the last request, for the last fault to be healed
FALLBACK_UNIT_RPS, FALLBACK_STARTUP_MS = 100.0, 3000.0   # when nothing was learned


def parse_arguments(argv):
    parser = argparse.ArgumentParser(prog="rehearse.py", description=__doc__.split("\n\n")[0])
    parser.add_argument("--binary", default="build/tidegate", help="default %(default)s")
    parser.add_argument("--duration", type=int, default=timeline.STEPS,
                        help=f"seconds, {timeline.DURATION_MIN} to {timeline.STEPS} (default)")
    parser.add_argument("--scale", type=float, default=SCALE, help="default %(default)s")
    parser.add_argument("--lead", type=int, default=LEAD_S,
                        help="seconds until the first request (default %(default)s)")
    parser.add_argument("--quick", action="store_true",
                        help=f"for tests: {timeline.DURATION_MIN} s, any ports, never goes on serving")
    parser.add_argument("--no-color", action="store_true")
    parser.add_argument("--state", default=str(HERE / "var"),
                        help="folder for what the rehearsal needs (default examples/shop/var)")
    parser.add_argument("--out", default="var/rehearsal.json", help="default %(default)s")
    options = parser.parse_args(argv)
    if options.quick:
        options.duration = timeline.DURATION_MIN
    if not 0 < options.scale <= 20:
        raise BadInput(f"--scale: expected a number above 0, at most 20, found {options.scale}")
    if not 5 <= options.lead <= LEAD_MAX_S:
        raise BadInput(f"--lead: expected 5 to {LEAD_MAX_S} seconds, found {options.lead}")
    if not os.access(options.binary, os.X_OK):
        raise BadInput(f"--binary: expected a program, found {options.binary} (try make build)")
    options.binary = str(pathlib.Path(options.binary).resolve())
    return options


class Screen:
    """Prints, in colour on a terminal."""

    def __init__(self, color):
        self.color = color and sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def say(self, text, code=None):
        print(f"\033[{code}m{text}\033[0m" if code and self.color else text, flush=True)


class Late(Broke):
    """The shop was not open when the first visitor was due."""


class Rehearsal:
    def __init__(self, options, folder, screen):
        self.options, self.folder, self.screen = options, folder, screen
        self.lead = options.lead
        self.times = timeline.Timeline(options.duration)
        self.seconds, self.faults, self.victims = [], [], set()
        self.refused = self.failed = 0.0
        self.tidegate = self.replay = None
        self.start = None      # unix time of the first request
        # What is still to be said or done, by seconds since the start.
        self.due = sorted([(self.times.kill, self.kill), (self.times.hang, self.hang),
                           (self.times.campaign[0], self.say_campaign),
                           (self.times.campaign[1], self.say_campaign_over),
                           (self.times.spike, self.say_spike)], key=lambda each: each[0])
        self.events = []

    # ---- before ----

    def write_files(self):
        """The folder of the rehearsal: configuration, calendar, history and trace, all new."""
        traffic = HERE / "traffic"
        day, past = (timeline.read_trace((traffic / name).read_text(), name)
                     for name in ("amazon_mentions.csv", "history.csv"))
        shop_yaml = (HERE / "shop.yaml").read_text()
        self.price, self.currency = timeline.unit_price(shop_yaml)
        self.port = processes.free_port(None if self.options.quick else PORT)
        self.admin = processes.free_port(None if self.options.quick else ADMIN)
        self.start = int(time.time()) + self.lead
        rows = self.times.with_campaign(self.times.cut(day))
        history = [count for _, count in self.times.cut_history(past)]
        places = timeline.Places(self.port, self.admin, str(HERE / "server.js"),
                                 str(self.folder / "orders.jsonl"), str(HERE / "customers.csv"),
                                 self.times.duration)
        known = len(history) - self.lead - 1     # what would lie ahead is not history
        files = {
            "shop.yaml": timeline.derive_config(shop_yaml, places),
            "campaigns.ics": timeline.calendar_ics(self.times, self.start),
            "history.csv": timeline.seconds_csv(history[:known], self.start - len(history),
                                                self.options.scale),
            "trace.csv": timeline.trace_csv(rows),
            "offered.csv": timeline.seconds_csv([count for _, count in rows], self.start,
                                                self.options.scale),
        }
        for name, text in files.items():
            (self.folder / name).write_text(text, newline="")

    def wait_until_open(self):
        """Until the shop serves; the first request goes out at its time, not before."""
        def serves():
            service = self.tidegate.service()
            return service and [i for i in service["instances"] if i["state"] == "serving"]
        if not processes.wait_for(serves, self.start):
            raise Late(f"the shop did not open within {self.lead} s (see --lead):\n"
                       f"{processes.tail(self.tidegate.log)}")
        while time.time() < self.start:
            time.sleep(0.02)
            self.tidegate.check_alive()

    # ---- what happens ----

    def victim(self):
        """A serving instance that we have not hit yet; None when there is none just now."""
        service = self.tidegate.service()
        for instance in service["instances"] if service else []:
            if instance["state"] == "serving" and instance["pid"] and instance["id"] not in self.victims:
                return instance
        return None

    def hit(self, kind, number, text):
        instance = self.victim()
        if instance is None:
            return False        # tried again in the next second
        self.victims.add(instance["id"])
        at = time.time()
        os.kill(instance["pid"], number)
        self.faults.append({"kind": kind, "at": at, "instance": instance["id"]})
        self.events.append(f"{text} {instance['id']}")
        return True

    def kill(self):
        return self.hit("kill", signal.SIGKILL, "killed instance")

    def hang(self):
        return self.hit("hang", signal.SIGSTOP, "hung instance")

    def say_campaign(self):
        self.events.append(f"campaign '{timeline.CAMPAIGN_NAME}' begins, as announced")
        return True

    def say_campaign_over(self):
        self.events.append("campaign ends")
        return True

    def say_spike(self):
        self.events.append("a spike that nobody announced")
        return True

    def do_what_is_due(self):
        at = time.time() - self.start
        while self.due and self.due[0][0] <= at and self.due[0][1]():
            self.due.pop(0)

    # ---- while it runs ----

    def tick(self):
        """One second: look, act, say."""
        service = self.tidegate.service()
        self.do_what_is_due()
        if service is None:
            self.screen.say("        the controller does not answer just now", "33")
            return
        second = report.Second.of(time.time(), service)
        self.seconds.append(second)
        self.refused += second.refused_rps
        self.failed += second.failed_rps
        line = report.status_line(second.time - self.start, second, self.refused, self.failed,
                                  self.events)
        self.screen.say(line, "1;33" if self.events else "31" if second.failed_rps > 0 else None)
        self.events = []

    def healed(self):
        entries = self.fault_entries()
        return all(each["healed_ms"] is not None for each in entries) and not self.due

    def fault_entries(self):
        try:
            decisions = self.tidegate.decisions()
        except (OSError, http.client.HTTPException, ValueError):
            decisions = []
        return [report.fault_entry(fault, decisions, self.seconds) for fault in self.faults]

    def run_traffic(self):
        self.replay = processes.Replay(
            self.options.binary, self.folder / "trace.csv", self.port, timeline.SPEED,
            self.options.scale, self.folder / "replay.json", self.folder / "replay.log")
        patience = None
        next_tick = time.time()
        while patience is None or (time.time() < patience and not self.healed()):
            next_tick = max(next_tick + 1, time.time())
            time.sleep(max(0.0, next_tick - time.time()))
            self.tick()
            if patience is None and not self.replay.running():
                patience = time.time() + HEAL_PATIENCE_S
        if self.due:
            raise Broke("no instance was serving to try a fault on")

    # ---- after ----

    def conclude(self):
        replayed = self.replay.result()
        last = self.seconds[-1]
        computed = processes.backtest(
            self.options.binary, self.folder / "offered.csv", self.folder / "shop.yaml",
            last.instance_capacity_rps or FALLBACK_UNIT_RPS, last.lead_ms or FALLBACK_STARTUP_MS)
        result = report.rehearsal_json(replayed, self.seconds, self.price, computed,
                                       self.fault_entries())
        start, end = (self.start + each for each in self.times.campaign)
        campaign = report.campaign_entry(self.seconds, start, end)
        out = pathlib.Path(self.options.out)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(result, indent=2) + "\n")
        self.write_details(campaign)
        for line in report.words(result, campaign, computed["predictive"], self.currency):
            self.screen.say(line)
        self.screen.say(f"Written to {out}.")

    def write_details(self, campaign):
        """Beside the result, for whoever asks why: each second and what the campaign met."""
        details = {"start": self.start, "spike": self.start + self.times.spike, "campaign": campaign,
                   "failed_outside_spike": report.failed_outside_spike(
                       self.seconds, self.start + self.times.spike),
                   "seconds": [dataclasses.asdict(second) for second in self.seconds]}
        (self.folder / "details.json").write_text(json.dumps(details) + "\n")

    def open_shop(self):
        """Starts Tidegate on files of its own, and waits for the moment of the first request."""
        self.write_files()
        self.tidegate = processes.Tidegate(self.options.binary, self.folder / "shop.yaml", self.admin,
                                           self.folder / "orders.jsonl",
                                           self.folder / "tidegate.log")
        self.screen.say(f"Dashboard  http://127.0.0.1:{self.admin}/", "1;36")
        self.screen.say(f"Shop       http://127.0.0.1:{self.port}/", "1;36")
        self.screen.say(f"The first visitors come in {self.lead} s; five minutes of the day "
                        f"pass in a second, {self.times.duration} s in all.")
        self.wait_until_open()

    def open_shop_later(self):
        """Once more, with more time: calendar, history and trace hang on the moment of the first request."""
        self.tidegate.stop()
        shutil.rmtree(self.folder / "var", ignore_errors=True)
        self.lead = min(LATER * self.lead, LEAD_MAX_S)
        self.screen.say("The shop is not open yet: this machine has much to do. It is begun anew, with more time.")
        self.open_shop()

    def rehearse(self):
        try:
            self.open_shop()
        except Late:
            self.open_shop_later()
        self.screen.say(report.HEADING, "2")
        self.run_traffic()
        self.conclude()

    def go_on_serving(self):
        self.screen.say(f"\nThe shop stays open at http://127.0.0.1:{self.port}/, the dashboard at "
                        f"http://127.0.0.1:{self.admin}/. Ctrl-C ends it.", "1;36")
        while True:
            time.sleep(1)
            self.tidegate.check_alive()

    def stop(self):
        for each in (self.replay, self.tidegate):
            if each is not None:
                each.stop()


def fresh_folder(state):
    """state/rehearsal, emptied; its lock is held until we end."""
    state.mkdir(parents=True, exist_ok=True)
    lock = open(state / "rehearsal.lock", "w", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Broke(f"another rehearsal runs in {state}") from None
    folder = state / "rehearsal"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder, lock


def end_on_signal(number, _):
    raise SystemExit(128 + number)


def main(argv):
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end_on_signal)
    rehearsal, done = None, False
    try:
        options = parse_arguments(argv)
        folder, lock = fresh_folder(pathlib.Path(options.state).resolve())
        with lock:
            try:
                rehearsal = Rehearsal(options, folder, Screen(not options.no_color))
                rehearsal.rehearse()
                done = True
                if sys.stdout.isatty() and sys.stdin.isatty() and not options.quick:
                    rehearsal.go_on_serving()
            finally:
                if rehearsal is not None:
                    rehearsal.stop()
        return 0
    except KeyboardInterrupt:
        return 0 if done else 130
    except BadInput as error:
        print(f"rehearse.py: {error}", file=sys.stderr)
        return 2
    except (Broke, OSError, ValueError, KeyError) as error:
        print(f"rehearse.py: it broke: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
