"""Functions, topics and rules that lead round in a circle end, as Lambda's recursive loop detection ends them."""

import json
import pathlib

from lib import parts, processes, weir
from lib.case import PeerTest
from lib.weir import Weir, function

# The first invocation is nobody's pass, 16 passes follow, and the event of the one after them is not invoked.
INVOCATIONS = 17
BUS = "arn:aws:events:us-east-1:000000000000:event-bus/loop"


class Loops(PeerTest):
    def setUp(self):
        super().setUp()
        self.out = self.folder / "out.txt"

    def loop_bridge(self, sources, calls="", **settings):
        """A bridge whose function `sink` leads to itself by `sources`."""
        sink = function("python", self.mark, WEIR_PEER_OUT=self.out, WEIR_PEER_CALLS=calls)
        sink["directory"] = str(parts.HERE / "functions" / "loops")
        bridge = Weir(self.folder / "bridge", {"sink": {**sink, **settings}}, sources)
        (boto,) = pathlib.Path(parts.python_with_boto()).parent.parent.glob("lib/python*/site-packages")
        sink["environment"] |= {"WEIR_PEER_GATEWAY": bridge.gateway, "PYTHONPATH": str(boto)}
        config = json.loads(bridge.config.read_text())
        config["functions"]["sink"] = {**sink, **settings}
        bridge.config.write_text(json.dumps(config))
        self._bridges.append(bridge)
        return bridge.start()

    def invocations(self):
        return len(self.out.read_text().splitlines()) if self.out.exists() else 0

    def metric(self, bridge, name):
        (line,) = [line for line in bridge.get("/metrics")[1].splitlines() if line.startswith(name + "{")]
        return int(float(line.rsplit(" ", 1)[1]))

    def check_that_it_ends(self, bridge):
        """Somebody has set it going: it goes round so often, and what is left of it is a dead letter."""
        def ended():
            return (self.metric(bridge, "lambda_recursive_invocations_dropped_total") > 0
                    and self.metric(bridge, "weir_async_events") == 0)
        processes.wait_until(lambda: f"it ends, after {self.invocations()} invocations; {self.explain([bridge])}", ended, 60)
        self.assertEqual(self.invocations(), INVOCATIONS, self.explain([bridge]))
        self.assertEqual(self.metric(bridge, "lambda_recursive_invocations_dropped_total"), 1)
        self.assertEqual(self.metric(bridge, "lambda_async_events_dropped_total"), 1)
        letters = json.loads(bridge.get("/deadletters")[1])
        self.assertEqual([(letter["function"], letter["condition"]) for letter in letters], [("sink", "RecursiveInvocation")])
        whole = json.loads(bridge.get(f"/deadletters/{letters[0]['id']}")[1])
        self.assertEqual(whole["record"]["responseContext"], {"statusCode": 400})
        status = json.loads(bridge.get("/status")[1])
        (queue,) = [each for each in status["queue"]["functions"] if each["function"] == "sink"]
        self.assertEqual((queue["recursive_invocations_dropped"], queue["dropped"]), (1, 1))
        (said,) = [line for line in bridge.log.read_text().splitlines() if "RecursiveInvocation" in line]
        self.assertIn("event.dropped", said)
        self.assertIn("warn", said)
        self.assertEqual(bridge.terminate(), 0)

    def set_going(self, bridge):
        done = weir.command("invoke", "sink", "--async", "--config", bridge.config, "--event", "-", stdin='{"round": 0}')
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_a_bus_as_destination_of_the_function_that_its_rule_invokes(self):
        bridge = self.loop_bridge({"again": {"type": "eventbridge", "bus": "loop", "event_pattern": {"source": ["lambda"]},
                                             "function": "sink"}}, on_success="eventbridge:loop")
        self.set_going(bridge)
        self.check_that_it_ends(bridge)

    def test_a_function_that_puts_what_invokes_it(self):
        bridge = self.loop_bridge({"again": {"type": "eventbridge", "bus": "loop", "event_pattern": {"source": ["loops"]},
                                             "function": "sink"}}, calls="events")
        self.set_going(bridge)
        self.check_that_it_ends(bridge)

    def test_a_function_that_publishes_what_invokes_it(self):
        bridge = self.loop_bridge({"again": {"type": "sns", "topic": "loop", "function": "sink"}}, calls="sns")
        self.set_going(bridge)
        self.check_that_it_ends(bridge)

    def test_a_rule_whose_target_is_its_own_bus(self):
        bridge = self.loop_bridge({"all": {"type": "eventbridge", "bus": "loop", "event_pattern": {"source": ["shop"]},
                                           "function": "sink"}})

        def events(operation, arguments):
            status, body = bridge.post("/", json.dumps(arguments), {
                "X-Amz-Target": f"AWSEvents.{operation}", "Content-Type": "application/x-amz-json-1.1"})
            self.assertEqual(status, 200, body)
            return json.loads(body)
        events("PutRule", {"Name": "round", "EventBusName": "loop", "EventPattern": '{"source": ["shop"]}'})
        put = events("PutTargets", {"Rule": "round", "EventBusName": "loop",
                                    "Targets": [{"Id": "itself", "Arn": BUS, "RoleArn": "arn:aws:iam::000000000000:role/x"}]})
        entry = {"EventBusName": "loop", "Source": "shop", "DetailType": "Order", "Detail": "{}"}
        self.assertEqual(events("PutEvents", {"Entries": [entry]})["FailedEntryCount"], 0)
        # The event, and its one passage from the bus to itself: what came from a bus goes to no third one.
        expected = 2 if put["FailedEntryCount"] == 0 else 1
        processes.wait_until(lambda: f"{expected} invocations; {self.explain([bridge])}",
                             lambda: self.invocations() >= expected and self.metric(bridge, "weir_async_events") == 0, 30)
        self.assertEqual(bridge.terminate(), 0)
        self.assertEqual(self.invocations(), expected, "it has ended")
