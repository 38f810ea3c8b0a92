"""Many event patterns against AWS's event-ruler."""

import json
import random
import statistics

from lib import parts

RULES = 1000
EVENTS = 200
EVENT_BYTES = 2048


def rules(source):
    """Rules as accounts have them: a source and a kind of event, and then what is theirs: one of each operator in turn."""
    def own(number):
        return [
            {"instance-id": [f"i-{number:08x}"], "state": ["running", "stopped"]},
            {"bucket": {"name": [f"bucket-{number}"]}, "object": {"key": [{"prefix": f"in/{number}/"}]}},
            {"object": {"key": [{"suffix": f"-{number}.jpg"}], "size": [{"numeric": [">", 1000 + number, "<=", 900000]}]}},
            {"requestParameters": {"userName": [{"equals-ignore-case": f"User-{number}"}]}},
            {"eventName": [{"anything-but": [f"Call{number}", "Describe"]}], "bucket": {"name": [f"bucket-{number}"]}},
            {"resource": [{"wildcard": f"arn:aws:s3:::*/{number}/*.csv"}]},
            {"tags": {"key": ["team"], "value": [f"team-{number}"]}},
            {"sourceIPAddress": [{"cidr": f"10.{number % 256}.{number // 256}.0/24"}], "errorCode": [{"exists": False}]},
            {"$or": [{"status": [500 + number]}, {"priority": [f"p{number}"]}]},
            {"count": [number], "missing": [{"exists": False}]},
        ][number % 10]
    return [{"source": [f"app.{number % 20}"], "detail-type": [f"Kind {number % 50}", "Every kind"], "detail": own(number)}
            for number in range(RULES)]


def event(source, number):
    """About 2 KB, of which rules ask for a part; it nearly fits many rules and fits some."""
    n = source.randrange(RULES)
    detail = {
        "instance-id": f"i-{n:08x}", "state": source.choice(["running", "pending"]),
        "bucket": {"name": f"bucket-{n}", "owner": {"id": "a" * 32}},
        "object": {"key": f"in/{n}/photo-{n}.jpg", "size": source.randrange(2_000_000), "etag": "d41d8cd98f00b204e9800998ecf8427e"},
        "requestParameters": {"userName": f"user-{n}", "roleArn": "arn:aws:iam::123456789012:role/reader"},
        "eventName": f"Call{source.randrange(RULES)}", "resource": f"arn:aws:s3:::lake/{n}/part-{number}.csv",
        "tags": [{"key": "team", "value": f"team-{n}"}, {"key": "stage", "value": "live"}],
        "sourceIPAddress": f"10.{n % 256}.{n // 256}.7", "status": 500 + n, "priority": f"p{n}", "count": n, "filler": [],
    }
    whole = {"version": "0", "id": f"{number:032x}", "detail-type": source.choice([f"Kind {n % 50}", "Every kind"]),
             "source": f"app.{n % 20}", "account": "123456789012", "time": "2026-09-12T07:00:00Z", "region": "eu-west-1",
             "resources": [f"arn:aws:ec2:eu-west-1:123456789012:instance/i-{n:08x}"], "detail": detail}
    while len(json.dumps(whole)) < EVENT_BYTES - 90:
        detail["filler"].append({"name": f"field {len(detail['filler'])}", "value": source.randrange(10**9), "good": True, "note": "plain text"})
    return whole


def patterns(bench):
    """1,000 rules and events of 2 KB, on one thread, against AWS's event-ruler."""
    source = random.Random(1)
    folder = bench.new_folder()
    rules_file, events_file = folder / "rules", folder / "events"
    rules_file.write_text("".join(json.dumps(rule) + "\n" for rule in rules(source)))
    events = [json.dumps(event(source, number)) for number in range(EVENTS)]
    events_file.write_text("".join(text + "\n" for text in events))
    seconds, rounds = ("1", 1) if bench.quick else ("5", 5)
    sides = {"weir": [bench.program("tests/bench/weir-bench-patterns"), str(rules_file), str(events_file), seconds],
             "ruler": parts.event_ruler("bench", rules_file, events_file, seconds)}
    rates = {name: [] for name in sides}
    matches = set()
    for _ in range(rounds):
        for name, command in sides.items():
            (line,) = bench.lines(*command)
            rates[name].append(line["events"] / line["seconds"])
            matches.add(line["matches"])
    if len(matches) != 1 or matches == {0}:
        raise RuntimeError(f"the two sides found different numbers of matches: {matches}")
    ours, theirs = (statistics.median(rates[name]) for name in ("weir", "ruler"))
    bench.add("patterns", f"events matched a second, {RULES} rules, against event-ruler", ours / theirs, "times", least=2,
              events_per_second=round(ours), event_ruler_events_per_second=round(theirs), matches=matches.pop(),
              event_bytes=round(statistics.mean(map(len, events))))


FIGURES = (patterns,)
