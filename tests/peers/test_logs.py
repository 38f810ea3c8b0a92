"""Lines of files that logrotate turns over, and events that boto3 puts, become events that Powertools knows."""

import json
import os
import shutil
import subprocess
import time
import unittest

from lib import clients, parts, processes
from lib.case import PeerTest
from lib.weir import Weir, function

FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:sink"

# A program that logs, and knows weir by its endpoint alone.
WATCHTOWER = r"""
import logging, sys, boto3, watchtower
client = boto3.client("logs", endpoint_url=sys.argv[1], region_name="us-east-1")
handler = watchtower.CloudWatchLogHandler(boto3_client=client, log_group_name="/shop", log_stream_name="{program_name}",
                                          log_group_retention_days=7, send_interval=1)
log = logging.getLogger("shop")
log.addHandler(handler)
log.error("ERROR disk full")
log.warning({"state": "ERROR", "order": 7})
for number in range(3000):
    log.warning("line %d", number)
handler.close()
"""


class Logs(PeerTest):
    def setUp(self):
        super().setUp()
        clients.sign(self)

    def logs_bridge(self, **source):
        """A bridge whose function keeps its events in the folder `events`."""
        self.events = self.folder / "events"
        self.events.mkdir(exist_ok=True)
        sink = function("events", self.mark, WEIR_PEER_EVENTS=self.events)
        bridge = Weir(self.folder / "bridge", {"sink": sink}, {"lines": {"type": "logs", "function": "sink", **source}})
        self._bridges.append(bridge)
        return bridge.start()

    def unpacked(self):
        """What Powertools makes of the events so far; it refuses those whose shape it does not know."""
        events = [json.loads(path.read_text()) for path in sorted(self.events.glob("*.json"))]
        verdict = subprocess.run([parts.command("node"), parts.HERE / "judge" / "logs.cjs"], input=json.dumps(events),
                                 capture_output=True, text=True, timeout=30, env={"NODE_PATH": parts.powertools()})
        self.assertEqual((verdict.returncode, verdict.stderr), (0, ""), json.dumps(events)[:2000])
        return [event["awslogs"]["data"] for event in json.loads(verdict.stdout)]

    def messages(self):
        return [event["message"] for batch in self.unpacked() for event in batch["logEvents"]]

    def wait_for(self, messages, bridge):
        processes.wait_until(lambda: f"{sorted(messages)} came; came have {self.messages()}; {processes.tail(bridge.log)}",
                             lambda: sorted(self.messages()) == sorted(messages), 30, every=0.3)

    def test_lines_survive_rotations_and_a_kill(self):
        logs = self.folder / "logs"
        logs.mkdir()
        path = logs / "app.log"
        bridge = self.logs_bridge(files=[str(logs / "*.log")], filter_pattern="ERROR", starting_position="TRIM_HORIZON",
                                  log_group="/app/web")
        expected = []

        def write(count):
            with path.open("a") as file:
                for _ in range(count):
                    expected.append(f"ERROR {len(expected)}")
                    file.write(f"INFO between\n{expected[-1]}\n")

        write(5)
        self.wait_for(expected, bridge)
        self.rotate(path, "nocopytruncate", "create")
        write(5)
        self.wait_for(expected, bridge)
        self.rotate(path, "copytruncate")
        write(3)
        self.wait_for(expected, bridge)
        bridge.kill()
        write(4)
        self.rotate(path, "nocopytruncate", "create")
        write(4)
        bridge.start()
        self.wait_for(expected, bridge)
        for batch in self.unpacked():
            self.assertEqual((batch["messageType"], batch["logGroup"], batch["logStream"], batch["subscriptionFilters"]),
                             ("DATA_MESSAGE", "/app/web", str(path), ["lines"]))

    def rotate(self, path, *how):
        """With logrotate where it is installed, else with what it does."""
        if shutil.which("logrotate"):
            settings = self.folder / "logrotate.conf"
            settings.write_text(f"{path} {{\n rotate 9\n missingok\n " + "\n ".join(how) + "\n}\n")
            subprocess.run(["logrotate", "-f", "-s", self.folder / "logrotate.state", settings], check=True, timeout=30)
            return
        number = len(list(path.parent.glob("app.log.*"))) + 1
        if "copytruncate" in how:
            shutil.copy(path, f"{path}.{number}")
            os.truncate(path, 0)
        else:
            path.rename(f"{path}.{number}")
            path.touch()

    def calls(self, client, url, *asked):
        return clients.calls(self, client, "logs", url, *asked)

    def aws(self, url, *arguments, fails=False):
        return clients.aws("logs", url, *arguments, fails=fails)

    def test_clients_put_events_and_read_them_page_by_page(self):
        bridge = self.logs_bridge(log_group="/shop", filter_pattern="ERROR")
        for client in ("boto3", "node"):
            now = int(time.time() * 1000)
            group, stream = f"/{client}", f"{client}-1"
            named = {"logGroupName": "/shop", "logStreamName": stream}
            events = [{"timestamp": now + number, "message": f"{'ERROR' if number % 2 else 'INFO'} {client} {number}"}
                      for number in range(6)]
            made = self.calls(client, bridge.gateway, ["CreateLogGroup", {"logGroupName": group}],
                              ["PutRetentionPolicy", {"logGroupName": group, "retentionInDays": 7}],
                              *(["CreateLogStream", {"logGroupName": group, "logStreamName": f"s{number}"}] for number in range(5)),
                              ["CreateLogStream", named])
            self.assertEqual(made, [{}] * 8)
            late, put, first, all_of, errors, streams, groups, tried = self.calls(
                client, bridge.gateway,
                ["PutLogEvents", {**named, "logEvents": [{"timestamp": now - 40 * 86_400_000, "message": "ERROR too old"}]}],
                ["PutLogEvents", {**named, "logEvents": events}],
                ["GetLogEvents", {**named, "limit": 4, "startFromHead": True}],
                ["FilterLogEvents", {"logGroupName": "/shop", "logStreamNames": [stream], "limit": 2}, "events"],
                ["FilterLogEvents", {"logGroupName": "/shop", "logStreamNamePrefix": client, "filterPattern": "ERROR", "limit": 1}, "events"],
                ["DescribeLogStreams", {"logGroupName": group, "limit": 2}, "logStreams"],
                ["DescribeLogGroups", {"limit": 1}, "logGroups"],
                ["TestMetricFilter", {"filterPattern": "[level=ERROR, who, number]", "logEventMessages": [each["message"] for each in events]}])
            self.assertEqual(late["rejectedLogEventsInfo"], {"tooOldLogEventEndIndex": 1})
            self.assertIn("nextSequenceToken", put)
            self.assertEqual([(each["timestamp"], each["message"]) for each in first["events"]],
                             [(each["timestamp"], each["message"]) for each in events[:4]])
            self.assertEqual([each["message"] for each in all_of], [each["message"] for each in events])
            self.assertEqual([each["message"] for each in errors], [each["message"] for each in events[1::2]])
            self.assertEqual([each["logStreamName"] for each in streams], ["s0", "s1", "s2", "s3", "s4"])
            self.assertEqual(next(each for each in groups if each["logGroupName"] == group)["retentionInDays"], 7)
            self.assertIn("/shop", [each["logGroupName"] for each in groups])
            self.assertEqual([(each["eventNumber"], each["extractedValues"]) for each in tried["matches"]],
                             [(number + 1, {"$level": "ERROR", "$who": client, "$number": str(number)}) for number in (1, 3, 5)])
            on, latest = self.calls(client, bridge.gateway,
                                    ["GetLogEvents", {**named, "startFromHead": True, "nextToken": first["nextForwardToken"]}],
                                    ["GetLogEvents", {**named, "limit": 2}])
            end, back = self.calls(client, bridge.gateway,
                                   ["GetLogEvents", {**named, "startFromHead": True, "nextToken": on["nextForwardToken"]}],
                                   ["GetLogEvents", {**named, "limit": 3, "nextToken": latest["nextBackwardToken"]}])
            for page, messages in ((on, events[4:]), (latest, events[4:]), (end, []), (back, events[1:4])):
                self.assertEqual([each["message"] for each in page["events"]], [each["message"] for each in messages])
            self.assertEqual(end["nextForwardToken"], on["nextForwardToken"])

            subscription = {"logGroupName": group, "filterName": "f", "filterPattern": "ERR*", "destinationArn": FUNCTION}
            refused = self.calls(
                client, bridge.gateway, ["PutSubscriptionFilter", subscription], ["CreateLogGroup", {"logGroupName": group}],
                ["DeleteLogGroup", {"logGroupName": "/none"}], ["GetLogEvents", {"logGroupName": group, "logStreamName": "none"}],
                ["PutSubscriptionFilter", {**subscription, "filterPattern": ""}],
                ["PutSubscriptionFilter", {**subscription, "filterName": "g", "filterPattern": "x"}],
                ["PutSubscriptionFilter", {**subscription, "filterName": "h", "filterPattern": "x"}],
                ["DescribeSubscriptionFilters", {"logGroupName": group, "limit": 1}, "subscriptionFilters"],
                ["DeleteSubscriptionFilter", {"logGroupName": group, "filterName": "f"}], ["StartQuery", {
                    "logGroupName": group, "startTime": 0, "endTime": 1, "queryString": "fields @message"}],
                ["DeleteLogStream", {"logGroupName": group, "logStreamName": "s0"}], ["DeleteRetentionPolicy", {"logGroupName": group}],
                ["DeleteLogGroup", {"logGroupName": group}], ["DescribeLogGroups", {"logGroupNamePrefix": group}])
            self.assertEqual([each.get("error", "") if isinstance(each, dict) else [one["filterName"] for one in each]
                              for each in refused],
                             ["InvalidParameterException", "ResourceAlreadyExistsException", "ResourceNotFoundException",
                              "ResourceNotFoundException", "", "", "LimitExceededException", ["f", "g"], "",
                              "UnknownOperationException", "", "", "", ""])
            self.assertEqual(refused[0]["message"], "Invalid character(s) in term '*'")
            self.assertEqual(refused[-1]["logGroups"], [])
        self.wait_for([f"ERROR {client} {number}" for client in ("boto3", "node") for number in (1, 3, 5)], bridge)
        batches = {batch["logStream"]: batch for batch in self.unpacked()}
        self.assertEqual([each["id"] for each in batches["node-1"]["logEvents"]], [each["eventId"] for each in errors])

    def test_the_command_line_does_what_the_readme_says(self):
        bridge = self.logs_bridge(log_group="/other")
        url, now = bridge.gateway, int(time.time() * 1000)
        self.aws(url, "create-log-group", "--log-group-name", "/shop")
        self.aws(url, "create-log-stream", "--log-group-name", "/shop", "--log-stream-name", "host-1")
        self.aws(url, "put-subscription-filter", "--log-group-name", "/shop", "--filter-name", "failed", "--filter-pattern",
                 '{ $.state = "failed" }', "--destination-arn", FUNCTION)
        self.aws(url, "put-log-events", "--log-group-name", "/shop", "--log-stream-name", "host-1", "--log-events", json.dumps(
            [{"timestamp": now, "message": '{"state":"failed"}'}, {"timestamp": now, "message": '{"state":"done"}'}]))
        self.wait_for(['{"state":"failed"}'], bridge)
        got = self.aws(url, "get-log-events", "--log-group-name", "/shop", "--log-stream-name", "host-1")
        self.assertEqual([each["message"] for each in got["events"]], ['{"state":"failed"}', '{"state":"done"}'])
        found = self.aws(url, "filter-log-events", "--log-group-name", "/shop", "--filter-pattern", '{ $.state = "done" }')
        self.assertEqual([each["message"] for each in found["events"]], ['{"state":"done"}'])
        groups = self.aws(url, "describe-log-groups", "--log-group-name-prefix", "/s")["logGroups"]
        self.assertEqual([each["arn"] for each in groups], ["arn:aws:logs:us-east-1:000000000000:log-group:/shop:*"])
        streams = self.aws(url, "describe-log-streams", "--log-group-name", "/shop", "--order-by", "LastEventTime", "--descending")
        self.assertEqual([(each["logStreamName"], each["lastEventTimestamp"]) for each in streams["logStreams"]], [("host-1", now)])
        filters = self.aws(url, "describe-subscription-filters", "--log-group-name", "/shop")["subscriptionFilters"]
        self.assertEqual([(each["filterName"], each["destinationArn"]) for each in filters], [("failed", FUNCTION)])
        tried = self.aws(url, "test-metric-filter", "--filter-pattern", "[a, b=2]", "--log-event-messages", "1 2", "1 3")
        self.assertEqual(tried["matches"], [{"eventNumber": 1, "eventMessage": "1 2", "extractedValues": {"$a": "1", "$b": "2"}}])
        self.assertIn("(ResourceNotFoundException) when calling the DeleteLogStream operation: The specified log stream does not exist.",
                      self.aws(url, "delete-log-stream", "--log-group-name", "/shop", "--log-stream-name", "x", fails=True))
        # All settings of a group that weir has from its configuration are there, and it stays.
        self.assertIn("declared in weir's configuration", self.aws(url, "delete-log-group", "--log-group-name", "/other", fails=True))
        self.aws(url, "delete-log-group", "--log-group-name", "/shop")

    def test_a_rule_writes_to_a_group(self):
        group = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/shop"
        bridge = self.logs_bridge(log_group="/aws/events/shop", filter_pattern='{ $.detail.state = "failed" }')
        line = {"InputPathsMap": {"time": "$.time", "state": "$.detail.state"},
                "InputTemplate": '{"timestamp": <time>, "message": "order <state>"}'}
        asked = clients.calls(
            self, "boto3", "events", bridge.gateway, ["PutRule", {"Name": "all", "EventPattern": '{"source": ["shop"]}'}],
            ["PutTargets", {"Rule": "all", "Targets": [{"Id": "whole", "Arn": group}, {"Id": "line", "Arn": group, "InputTransformer": line}]}],
            ["PutEvents", {"Entries": [{"Source": "shop", "DetailType": "order", "Detail": json.dumps({"state": state}),
                                        "Time": int(time.time()) - 3600} for state in ("done", "failed")]}])
        self.assertEqual([each.get("error") or each.get("FailedEntryCount", 0) for each in asked], [0, 0, 0], asked)

        def logged():
            (found,) = self.calls("boto3", bridge.gateway, ["FilterLogEvents", {"logGroupName": "/aws/events/shop"}, "events"])
            return found
        processes.wait_until(lambda: f"four lines are there, {logged()} are; {processes.tail(bridge.log)}",
                             lambda: len(logged()) == 4, 30, every=0.5)
        whole = [json.loads(each["message"]) for each in logged() if each["message"].startswith("{")]
        self.assertEqual(sorted(each["detail"]["state"] for each in whole), ["done", "failed"])
        lines = [each for each in logged() if not each["message"].startswith("{")]
        self.assertEqual(sorted(each["message"] for each in lines), ["order done", "order failed"])
        self.assertEqual({time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(each["timestamp"] / 1000)) for each in lines},
                         {each["time"] for each in whole})
        processes.wait_until(lambda: f"one of them came, {self.messages()} did", lambda: len(self.messages()) == 1, 30, every=0.5)

    def test_watchtower_logs_to_a_function(self):
        bridge = self.logs_bridge(log_group="/shop", filter_pattern="ERROR")
        clients.run([parts.python_with_watchtower(), "-c", WATCHTOWER, bridge.gateway])
        self.wait_for(["ERROR disk full", '{"state": "ERROR", "order": 7}'], bridge)
        (lines,) = self.calls("boto3", bridge.gateway, ["FilterLogEvents", {"logGroupName": "/shop", "filterPattern": "line"}, "events"])
        self.assertEqual([each["message"] for each in lines], [f"line {number}" for number in range(3000)])
        (groups,) = self.calls("boto3", bridge.gateway, ["DescribeLogGroups", {}])
        self.assertEqual([(each["logGroupName"], each["retentionInDays"]) for each in groups["logGroups"]], [("/shop", 7)])


if __name__ == "__main__":
    unittest.main()
