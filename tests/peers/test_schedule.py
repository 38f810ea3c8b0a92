"""Schedules: next runs against npm's aws-cron-parser, and events of a running schedule judged by Powertools."""

import datetime
import json
import random
import re
import subprocess
import time

from lib import parts, processes
from lib.case import PeerTest
from lib.weir import Weir, command, function

EXPRESSIONS = 3000
AT_ONCE = 250  # sources of one configuration
RUNS = 5
# Zones that never change their clocks now, by how many seconds they are ahead of UTC: the judge knows UTC alone.
ZONES = {"UTC": 0, "Asia/Tokyo": 9 * 3600, "Asia/Kolkata": 19800, "America/Phoenix": -7 * 3600}
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
DAYS = "SUN MON TUE WED THU FRI SAT".split()


def field(source, low, high, names=None):
    """A field of any kind. The values of a list grow: the judge asks for that, AWS and weir do not."""
    def value(number):
        return names[number - low] if names and source.random() < 0.3 else str(number)
    numbers = range(low, high + 1)
    step = source.randint(1, (high - low) // 2)
    return source.choice([
        lambda: "*", lambda: f"*/{step}", lambda: f"{source.choice(numbers)}/{step}",
        lambda: "-".join(map(str, sorted(source.sample(numbers, 2)))),
        lambda: ",".join(map(value, sorted(source.sample(numbers, source.randint(2, 4))))),
        lambda: value(source.choice(numbers))])()


def fields(source):
    """The six fields of a cron(). No day of the month is above 28: the judge takes 31 November for 1 December."""
    if source.random() < 0.5:
        days = re.sub(r"^(\d+|\*)/", lambda first: f"{first[1].replace('*', '1')}-28/", field(source, 1, 28))
        of_month, of_week = source.choice([days, days, "L", f"{source.randint(1, 28)}W"]), "?"
    else:
        of_month, of_week = "?", source.choice([field(source, 1, 7, DAYS), field(source, 1, 7, DAYS), f"{source.randint(1, 7)}L",
                                                f"{source.randint(1, 7)}#{source.randint(1, 4)}"])
    year = source.choice(["*", "*", "2060-2070", "2041,2055", "2040/7"])
    return " ".join([field(source, 0, 59), field(source, 0, 23), of_month, field(source, 1, 12, MONTHS), of_week, year])


class NextRuns(PeerTest):
    def runs(self, expressions):
        """What `weir validate --schedules` says of each: its next runs in UTC, in seconds."""
        sources = {f"s{number}": {"type": "schedule", "expression": f"cron({cron})", "timezone": zone, "function": "sink"}
                   for number, (cron, zone) in enumerate(expressions)}
        config = self.folder / "weir.yaml"
        config.write_text(json.dumps({"functions": {"sink": {"command": ["/bin/true"]}}, "sources": sources}))
        said = command("validate", f"--schedules={RUNS}", str(config))
        self.assertEqual(said.returncode, 0, said.stderr)
        runs = {}
        for line in said.stdout.splitlines():
            if name := re.match(r"(s\d+): ", line):
                found = runs[name[1]] = []
            elif run := re.match(r"  \S+  (\S+)Z$", line):
                found.append(round(datetime.datetime.fromisoformat(run[1] + "+00:00").timestamp()))
        return [runs[f"s{number}"] for number in range(len(expressions))]

    def judged(self, expressions, now):
        wanted = []
        for zone, ahead in ZONES.items():
            # The parser wants what comes later than `from`; a run of this very second is weir's next one.
            asked = {"from": now - 1 + ahead, "count": RUNS, "expressions": [cron for cron, its in expressions if its == zone]}
            verdict = subprocess.run([parts.command("node"), parts.HERE / "judge" / "cron.cjs"], input=json.dumps(asked),
                                     capture_output=True, text=True, timeout=120, env={"NODE_PATH": parts.aws_cron_parser()})
            self.assertEqual((verdict.returncode, verdict.stderr), (0, ""))
            wanted.append(iter([[run - ahead for run in runs] for runs in json.loads(verdict.stdout)]))
        by_zone = dict(zip(ZONES, wanted))
        return [next(by_zone[zone]) for _, zone in expressions]

    def test_random_expressions_run_when_the_parser_for_aws_says(self):
        source = random.Random(5)
        for _ in range(0, EXPRESSIONS, AT_ONCE):
            expressions = [(fields(source), source.choice(list(ZONES))) for _ in range(AT_ONCE)]
            ours, theirs = None, None
            for _ in range(2):  # a run that was next a moment ago may be over: then once more
                now = int(time.time())
                ours, theirs = self.runs(expressions), self.judged(expressions, now)
                if ours == theirs:
                    break
            wrong = [(each, our, their) for each, our, their in zip(expressions, ours, theirs) if our != their]
            self.assertEqual(wrong, [])


class Events(PeerTest):
    def test_events_of_a_running_schedule(self):
        events = self.folder / "events"
        events.mkdir()
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=5)
        sources = {
            "at-once": {"type": "schedule", "expression": "rate(1 hour)", "function": "sink"},
            "once": {"type": "schedule", "expression": f"at({soon:%Y-%m-%dT%H:%M:%S})", "function": "sink"},
            "told": {"type": "schedule", "expression": "rate(1 hour)", "function": "sink",
                     "input": {"at": "<aws.scheduler.scheduled-time>", "by": "<aws.scheduler.schedule-arn>"}},
            "rule": {"type": "schedule", "kind": "rule", "expression": "cron(* * * * ? *)", "function": "sink"}}
        bridge = Weir(self.folder / "bridge", {"sink": function("events", self.mark, WEIR_PEER_EVENTS=events)}, sources)
        self._bridges.append(bridge)
        bridge.start()

        def got():
            return [json.loads(path.read_text()) for path in events.glob("*.json")]

        def by(name):
            return [event for event in got() if name in (event.get("by") or event["resources"][0])]
        names = ("schedule/default/at-once", "schedule/default/once", "schedule/default/told", "rule/rule")
        processes.wait_until(lambda: f"an event of each is seen; seen were {got()}; {processes.tail(bridge.log)}",
                             lambda: all(by(name) for name in names), 90, every=0.5)
        (at_once,), (once,), (told,), (rule, *_) = map(by, names)
        verdict = subprocess.run([parts.command("node"), parts.HERE / "judge" / "eventbridge.cjs"],
                                 input=json.dumps([at_once, once, rule]), capture_output=True, text=True, timeout=30,
                                 env={"NODE_PATH": parts.powertools()})
        self.assertEqual((verdict.returncode, verdict.stderr), (0, ""))
        self.assertEqual(json.loads(verdict.stdout), [at_once, once, rule], "Powertools knows every member, so it dropped none")
        self.assertEqual((at_once["source"], at_once["detail"]), ("aws.scheduler", "{}"))
        self.assertEqual(once["time"], f"{soon:%Y-%m-%dT%H:%M:%SZ}")
        self.assertEqual((rule["source"], rule["detail"], rule["time"][-4:]), ("aws.events", {}, ":00Z"))
        self.assertEqual(told["by"], "arn:aws:scheduler:us-east-1:000000000000:schedule/default/told")
