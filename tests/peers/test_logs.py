"""Lines of files that logrotate turns over, and events that boto3 puts, become events that Powertools knows."""

import json
import os
import shutil
import subprocess
import unittest

from lib import parts, processes
from lib.case import PeerTest
from lib.weir import Weir, function

PUT = """
import boto3, json, sys, time
logs = boto3.client("logs", endpoint_url=sys.argv[1], region_name="us-east-1", aws_access_key_id="peer",
                    aws_secret_access_key="peersecret")
logs.create_log_stream(logGroupName="/shop", logStreamName="host-1")
logs.create_log_group(logGroupName="/other")
logs.put_retention_policy(logGroupName="/other", retentionInDays=7)
now = int(time.time() * 1000)
put = logs.put_log_events(logGroupName="/shop", logStreamName="host-1", logEvents=[
    {"timestamp": now - 40 * 86400 * 1000, "message": "ERROR too old"}])
late = put["rejectedLogEventsInfo"]
logs.put_log_events(logGroupName="/shop", logStreamName="host-1", logEvents=[
    {"timestamp": now, "message": "ERROR one"}, {"timestamp": now, "message": "INFO two"}, {"timestamp": now + 1, "message": "ERROR 3"}])
found = [event for page in logs.get_paginator("filter_log_events").paginate(logGroupName="/shop", filterPattern="ERROR",
         PaginationConfig={"PageSize": 1}) for event in page["events"]]
refused = ""
try:
    logs.put_subscription_filter(logGroupName="/other", filterName="f", filterPattern="ERR*", destinationArn="arn:aws:lambda:us-east-1:000000000000:function:sink")
except logs.exceptions.InvalidParameterException as error:
    refused = error.response["Error"]["Message"]
print(json.dumps({"late": late, "found": found, "refused": refused,
                  "all": [e["message"] for e in logs.get_log_events(logGroupName="/shop", logStreamName="host-1")["events"]],
                  "groups": [g["logGroupName"] for g in logs.describe_log_groups()["logGroups"]]}))
"""


class Logs(PeerTest):
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

    def test_boto3_puts_events_and_reads_them(self):
        bridge = self.logs_bridge(log_group="/shop", filter_pattern="ERROR")
        said = subprocess.run([parts.python_with_boto(), "-c", PUT, bridge.gateway], capture_output=True, text=True, timeout=60)
        self.assertEqual((said.returncode, said.stderr), (0, ""), processes.tail(bridge.log))
        answer = json.loads(said.stdout)
        self.assertEqual(answer["late"], {"tooOldLogEventEndIndex": 1})
        self.assertEqual([event["message"] for event in answer["found"]], ["ERROR one", "ERROR 3"])
        self.assertEqual(answer["refused"], "Invalid character(s) in term '*'")
        self.assertEqual(answer["all"], ["ERROR one", "INFO two", "ERROR 3"])
        self.assertEqual(answer["groups"], ["/other", "/shop"])
        self.wait_for(["ERROR one", "ERROR 3"], bridge)
        (batch,) = self.unpacked()
        self.assertEqual([event["id"] for event in batch["logEvents"]], [event["eventId"] for event in answer["found"]])


if __name__ == "__main__":
    unittest.main()
