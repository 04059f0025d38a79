"""What happens when in a rehearsal, and the files that say so. Pure: text and numbers in and out.

One step of the recorded trace (five minutes) becomes one second. So a day's 15 hours take three
minutes, and the seven days before it, compressed in the same way, are the forecaster's history."""
import csv
import dataclasses
import datetime
import io
import re

STEP_S = 300            # of the recorded trace
SPEED = STEP_S          # one recorded step a second
STEPS = 180             # of the shipped window
HISTORY_DAYS = 7
SPIKE_STEP = 116        # 20:57:53Z: nobody announced it
DURATION_MIN = 40       # shorter, and a new instance cannot be ready between two events
CAMPAIGN_NAME = "Evening sale"
CAMPAIGN_MULTIPLIER = 4.0


class BadInput(Exception):
    """A file that is not what it should be; the text says where and what was expected."""


def utc(seconds, precision="seconds"):
    """ISO 8601 of a unix time."""
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def read_trace(text, name):
    """Rows [(time as written, requests)] of a CSV `timestamp,requests`."""
    rows = []
    reader = csv.reader(io.StringIO(text))
    if next(reader, None) != ["timestamp", "requests"]:
        raise BadInput(f"{name}:1:1: expected the header timestamp,requests")
    for cells in reader:
        line = reader.line_num
        if len(cells) != 2 or not re.fullmatch(r"[0-9]+", cells[1]):
            raise BadInput(f"{name}:{line}:1: expected a time and a count, found {','.join(cells)!r}")
        try:
            datetime.datetime.strptime(cells[0], "%Y-%m-%dT%H:%M:%SZ")
        except ValueError:
            raise BadInput(f"{name}:{line}:1: expected a time such as 2015-03-11T20:57:53Z, "
                           f"found {cells[0]!r}") from None
        rows.append((cells[0], int(cells[1])))
    return rows


@dataclasses.dataclass(frozen=True)
class Timeline:
    """Seconds since the first request. Everything keeps its place in the day when it gets shorter."""
    duration: int

    def __post_init__(self):
        if not DURATION_MIN <= self.duration <= STEPS:
            raise BadInput(f"--duration: expected {DURATION_MIN} to {STEPS} seconds, "
                           f"found {self.duration}")

    def place(self, at):
        return round(at * self.duration / STEPS)

    @property
    def first_step(self):
        """Of the window; the spike stays in it, at its place."""
        return SPIKE_STEP - self.place(SPIKE_STEP)

    @property
    def kill(self):
        return self.place(20)

    @property
    def campaign(self):
        """(start, end), end exclusive."""
        return self.place(45), self.place(75)

    @property
    def spike(self):
        return SPIKE_STEP - self.first_step

    @property
    def hang(self):
        return self.place(150)

    def cut(self, day):
        if len(day) != STEPS:
            raise BadInput(f"expected {STEPS} rows a day, found {len(day)}")
        return day[self.first_step:self.first_step + self.duration]

    def cut_history(self, rows):
        """The same hours of the days before, one after the other."""
        if len(rows) != STEPS * HISTORY_DAYS:
            raise BadInput(f"history: expected {STEPS * HISTORY_DAYS} rows, found {len(rows)}")
        days = [rows[i:i + STEPS] for i in range(0, len(rows), STEPS)]
        return [row for day in days for row in self.cut(day)]

    def with_campaign(self, rows):
        """The day as it goes with the campaign: more come while it lasts."""
        start, end = self.campaign
        return [(time, round(count * CAMPAIGN_MULTIPLIER) if start <= i < end else count)
                for i, (time, count) in enumerate(rows)]


def trace_csv(rows):
    return "timestamp,requests\n" + "".join(f"{time},{count}\n" for time, count in rows)


def seconds_csv(counts, start, scale):
    """Counts as they will be offered: one row a second from unix time `start` on."""
    return trace_csv((utc(start + i), round(count * scale)) for i, count in enumerate(counts))


def calendar_ics(timeline, start):
    """The campaign, as marketing would announce it, in rehearsal time."""
    def stamp(seconds):
        moment = datetime.datetime.fromtimestamp(start + seconds, datetime.timezone.utc)
        return moment.strftime("%Y%m%dT%H%M%SZ")
    first, end = timeline.campaign
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Harbour Goods//Rehearsal//EN",
             "BEGIN:VEVENT", "UID:evening-sale@harbour-goods.example", f"DTSTAMP:{stamp(0)}",
             f"DTSTART:{stamp(first)}", f"DTEND:{stamp(end)}", f"SUMMARY:{CAMPAIGN_NAME}",
             "CATEGORIES:sale", f"X-TIDEGATE-MULTIPLIER:{CAMPAIGN_MULTIPLIER:g}", "END:VEVENT",
             "END:VCALENDAR", ""]
    return "\r\n".join(lines)


@dataclasses.dataclass(frozen=True)
class Places:
    """What the rehearsal has instead of the shop's own."""
    port: int
    admin: int
    server: str       # absolute path of server.js
    orders: str
    customers: str
    season_s: int


def derive_config(text, places):
    """shop.yaml, with the rehearsal's addresses, files and speed. Each change must find its line."""
    changes = [
        (r'address: ":\d+"', f'address: "127.0.0.1:{places.port}"'),
        (r'^admin: \{ address: "[^"]*" \}', f'admin: {{ address: "127.0.0.1:{places.admin}" }}'),
        (r'\[node, server\.js, --port, "\$PORT"\]',
         f'[node, "{places.server}", --port, "$PORT", --orders, "{places.orders}"]'),
        (r'instances: \{ (.*?) \}', r'instances: { \1, stabilisation: 15s }'),
        (r'^demand: \{ campaigns: campaigns\.ics,',
         'demand: { campaigns: campaigns.ics, history: history.csv, step: 1s, '
         f'seasons: [{places.season_s}s],'),
        (r'lifetime: customers\.csv', f'lifetime: "{places.customers}"'),
    ]
    for pattern, replacement in changes:
        text, found = re.subn(pattern, replacement, text, flags=re.MULTILINE)
        if found != 1:
            raise BadInput(f"shop.yaml: expected one place like /{pattern}/, found {found}")
    return text


def unit_price(text):
    """Price of an instance-hour and its currency, from shop.yaml."""
    found = re.search(r'price: "?([0-9.]+) ([A-Z]{3})', text)
    if not found:
        raise BadInput("shop.yaml: expected unit.price such as 0.10 EUR")
    return float(found.group(1)), found.group(2)
