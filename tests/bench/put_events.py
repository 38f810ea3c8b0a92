"""PutEvents against a bare server."""

import json
import statistics
import urllib.request

import front

ENTRIES = 10
RULES = 100
CONNECTIONS = 64
HEADERS = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "AWSEvents.PutEvents"}


class Caller(front.Wrk):
    """wrk, with the entries of a call as its body."""

    def __init__(self, bench, body):
        super().__init__(bench)
        self.body = body
        text = self.script.with_suffix(".json")
        text.write_text(body)
        self.script.write_text(f'wrk.method = "POST"\nwrk.body = io.open("{text}"):read("*a")\n' +
                               "".join(f'wrk.headers["{name}"] = "{value}"\n' for name, value in HEADERS.items()))

    def once(self, url):
        with urllib.request.urlopen(urllib.request.Request(url, self.body.encode(), HEADERS), timeout=10) as answer:
            return answer.read()


def sources():
    """Rules as accounts have them, each for one kind of event of one service, with tests of the detail."""
    return {f"rule-{number}": {"type": "eventbridge", "function": "slow", "event_pattern": {
        "source": [f"shop.{number % 10}"], "detail-type": [f"Kind {number}"],
        "detail": {"total": [{"numeric": [">", 10]}], "country": [{"anything-but": ["XX"]}]}}} for number in range(RULES)}


def entries(matched):
    """Ten entries of a quarter of a KB, of which so many meet one rule each, and the others nearly do."""
    def detail(number):
        return json.dumps({"orderId": f"o-{number}", "total": 12.5, "country": "SE" if number < matched else "XX",
                           "items": [{"sku": f"sku-{item}", "count": item} for item in range(4)]})
    return json.dumps({"Entries": [{"Source": f"shop.{number}", "DetailType": f"Kind {11 * number}", "Detail": detail(number)}
                                   for number in range(ENTRIES)]})


def accepted(bridge):
    """How many events the rules have ever put into the function's queue."""
    return sum(rule["events"] for service in front.status(bridge)["services"] for rule in service["accepted"])


def put_events(bench):
    """PutEvents of 10 entries with 100 rules, on disk before the answer, against a bare server with the same body."""
    rounds, seconds = (1, 2) if bench.quick else (5, 4)
    names = {ENTRIES: "every entry meets a rule", 1: "one entry of ten meets a rule", 0: "no entry meets a rule"}
    callers = {matched: Caller(bench, entries(matched)) for matched in names}
    rates = {matched: {"bare": [], "weir": []} for matched in names}
    # The function hardly follows, so that accepting is what is measured.
    functions = {"slow": front.function(bench, sleep_ms=20, reserved_concurrent_executions=1)}
    with front.weir(bench, functions, sources()) as bridge:
        answer = callers[0].once(bridge.gateway + "/")
        for matched, caller in callers.items():
            before = accepted(bridge)
            if json.loads(caller.once(bridge.gateway + "/"))["FailedEntryCount"] != 0:
                raise RuntimeError("an entry was refused")
            if accepted(bridge) != before + matched:
                raise RuntimeError(f"{accepted(bridge) - before} entries met a rule, instead of {matched}")
        with front.bare_server(bench, len(answer)) as bare:
            for _ in range(rounds):
                for matched, caller in callers.items():
                    rates[matched]["bare"].append(caller.run(bare + "/", CONNECTIONS, seconds)[0])
                    rates[matched]["weir"].append(caller.run(bridge.gateway + "/", CONNECTIONS, seconds)[0])
    for matched, name in names.items():
        sides = rates[matched]
        ratio = statistics.median(ours / theirs for ours, theirs in zip(sides["weir"], sides["bare"]))
        bench.add("put_events", f"PutEvents, 10 entries, 100 rules, 64 connections, against a bare server: {name}", ratio, "ratio",
                  least=0.25 if matched == ENTRIES else None, weir_per_second=round(statistics.median(sides["weir"])),
                  bare_per_second=round(statistics.median(sides["bare"])))


FIGURES = (put_events,)
