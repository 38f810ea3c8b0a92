"""Files that logrotate turns over while they are written: what of their lines arrives, and how often."""

import base64
import collections
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
import unittest
import urllib.request

from lib import processes
from lib.case import PeerTest
from lib.weir import Weir, function

# Writes "line NUMBER" a few at a time until its input ends, then says how many there were. SIGHUP makes it open its file anew.
WRITER = """
import os, select, signal, sys
path, pause = sys.argv[1], float(sys.argv[2])
again = True
def reopen(*_):
    global again
    again = True
signal.signal(signal.SIGHUP, reopen)
number, file = 0, None
while not select.select([sys.stdin], [], [], pause)[0]:
    if again:
        again = False
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    text = ""
    for _ in range(7):
        text += f"line {number}\\n"
        number += 1
    os.write(file, text.encode())
print(number)
"""


class Tail(PeerTest):
    def setUp(self):
        super().setUp()
        self.rotator = shutil.which("logrotate", path=os.environ["PATH"] + ":/usr/sbin:/sbin")
        self.assertIsNotNone(self.rotator, "logrotate is not there; run: scripts/install-packages peers")
        self.logs = self.folder / "logs"
        self.logs.mkdir(mode=0o755)  # logrotate refuses a folder that others may write
        self.path = self.logs / "app.log"
        self.events = self.folder / "events"
        self.events.mkdir()
        sink = function("events", self.mark, WEIR_PEER_EVENTS=self.events)
        source = {"type": "logs", "function": "sink", "files": [str(self.logs / "*.log")], "filter_pattern": "line",
                  "starting_position": "TRIM_HORIZON"}
        printed = {"type": "logs", "function": "sink", "function_log": "printer",
                   "filter_pattern": '?START ?REPORT ?"peer function"'}
        printer = function("python", self.mark)
        self.bridge = Weir(self.folder / "bridge", {"sink": sink, "printer": printer}, {"lines": source, "printed": printed})
        self._bridges.append(self.bridge)
        self.bridge.start()

    def writer(self, pause):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, self.path, str(pause)], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(writer.stdout.close)
        self.addCleanup(writer.kill)
        processes.wait_until("the writer has begun", self.path.exists, 10)
        return writer

    def finished(self, writer):
        """How many lines it wrote."""
        said, _ = writer.communicate(timeout=20)
        return int(said)

    def rotate(self, *how):
        settings = self.folder / "logrotate.conf"
        settings.write_text(f"{self.path} {{\n rotate 99\n" + "".join(f" {line}\n" for line in how) + "}\n")
        subprocess.run([self.rotator, "-f", "-s", self.folder / "logrotate.state", settings], check=True, timeout=30)

    def batches(self):
        for path in self.events.glob("*.json"):
            yield json.loads(gzip.decompress(base64.b64decode(json.loads(path.read_text())["awslogs"]["data"])))

    def came(self):
        """How often each line came."""
        return collections.Counter(int(event["message"].removeprefix("line "))
                                   for batch in self.batches() for event in batch["logEvents"])

    def wait_for_all(self, count):
        processes.wait_until(lambda: f"{count} lines come; there are {len(self.came())}; {processes.tail(self.bridge.log)}",
                             lambda: len(self.came()) >= count, 40, every=0.5)

    def test_create_while_it_is_written(self):
        """Each line exactly once, though the writer goes on in the former file until it is told, and weir is killed meanwhile."""
        writer = self.writer(0.002)
        how = ("create", "postrotate", f"  sleep 0.2; kill -HUP {writer.pid}", "endscript")
        for _ in range(4):
            time.sleep(0.3)
            self.rotate(*how)
        time.sleep(0.3)
        self.bridge.kill()
        self.rotate(*how)
        time.sleep(0.3)
        self.bridge.start()
        for _ in range(2):
            time.sleep(0.3)
            self.rotate(*how)
        written = self.finished(writer)
        self.assertGreater(written, 1000)
        self.assertEqual(sum(path.read_text().count("\n") for path in self.logs.iterdir()), written)
        self.wait_for_all(written)
        time.sleep(1)  # for what would come twice
        self.assertEqual(self.came(), collections.Counter(range(written)))

    def test_copytruncate_after_a_pause(self):
        """Each line exactly once, when what was written was read before the file was truncated."""
        written = 0
        for _ in range(3):
            with self.path.open("a") as file:
                for _ in range(500):
                    file.write(f"line {written}\n")
                    written += 1
            self.wait_for_all(written)
            self.rotate("copytruncate")
        self.assertEqual(self.came(), collections.Counter(range(written)))

    def test_copytruncate_while_it_is_written(self):
        """No line twice; missing are only the last ones in front of a truncation."""
        writer = self.writer(0.002)
        for _ in range(5):
            time.sleep(0.4)
            self.rotate("copytruncate")
        time.sleep(0.4)
        written = self.finished(writer)
        last = max(int(line.removeprefix("line ")) for line in self.path.read_text().splitlines())
        processes.wait_until(lambda: f"the last line, {last}, comes; {processes.tail(self.bridge.log)}",
                             lambda: last in self.came(), 40, every=0.5)
        came = self.came()
        self.assertEqual(set(came.values()), {1})
        firsts = {int(path.read_text().split("\n", 1)[0].removeprefix("line ")) for path in self.logs.iterdir()}
        for number in range(written):
            if number not in came:
                self.assertTrue(number + 1 not in came or number + 1 in firsts, f"{number} is missing, and {number + 1} came")

    def call_printer(self):
        url = self.bridge.gateway + "/2015-03-31/functions/printer/invocations"
        request = urllib.request.Request(url, b'{"do": "echo"}', method="POST")
        with urllib.request.urlopen(request, timeout=20) as answer:
            self.assertEqual(answer.status, 200)
            return answer.headers["x-amzn-RequestId"]

    def wait_for_messages(self, count):
        def messages():
            events = [event for batch in self.batches() for event in batch["logEvents"]]
            return [event["message"] for event in sorted(events, key=lambda event: event["id"])]
        processes.wait_until(lambda: f"{count} lines come; {messages()}; {processes.tail(self.bridge.log)}",
                             lambda: len(messages()) >= count, 20, every=0.3)
        return messages()

    def test_what_a_function_prints(self):
        """function_log: what a function prints is its log group, with a stream as AWS names one, also after a restart and behind a
        rotation."""
        called = self.call_printer()
        start, text, report = self.wait_for_messages(3)
        self.assertEqual(start, f"START RequestId: {called} Version: $LATEST")
        self.assertEqual(text, "peer function was asked for echo")
        self.assertTrue(report.startswith(f"REPORT RequestId: {called}\tDuration: "), report)
        self.assertEqual({batch["logGroup"] for batch in self.batches()}, {"/aws/lambda/printer"})
        [stream] = {batch["logStream"] for batch in self.batches()}
        self.assertRegex(stream, r"^\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$")
        self.bridge.kill()
        self.bridge.start()
        self.call_printer()
        self.wait_for_messages(6)
        self.assertEqual({batch["logStream"] for batch in self.batches()}, {stream})
        # While nobody runs, so that the function's log is opened anew.
        self.bridge.kill()
        log = self.bridge.folder / "state" / "logs" / "printer.log"
        log.rename(log.with_name("printer.log.1"))
        self.bridge.start()
        self.call_printer()
        self.wait_for_messages(9)
        time.sleep(1)  # for what would come twice
        self.assertEqual(len(self.wait_for_messages(9)), 9)
        streams = {batch["logStream"] for batch in self.batches()}
        self.assertEqual(len(streams), 2)
        for each in streams:
            self.assertRegex(each, r"^\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}$")


if __name__ == "__main__":
    unittest.main()
