"""The events that `weir event SOURCE NAME` prints, judged by Powertools."""

import json
import re
import subprocess

from lib import parts
from lib.case import PeerTest
from lib.weir import command as weir_command

# Sources whose events Powertools has a schema for: the judge's file and its argument.
JUDGES = {"dynamodb": ("dynamodb.cjs",), "eventbridge": ("eventbridge.cjs",), "kafka": ("kafka.cjs",), "kinesis": ("kinesis.cjs",),
          "logs": ("logs.cjs",), "s3": ("s3.cjs", "notification"), "sns": ("sns.cjs",), "sqs": ("sqs.cjs",)}
# What it has no schema for, or refuses though AWS sends it.
NOT_JUDGED = {
    ("dynamodb", "window-final"): "Powertools wants a record; a window's end has none",
    ("kafka", "msk"): "the judge is for self-managed clusters",
    ("kafka", "headers"): "a header's bytes are signed; Powertools wants them unsigned",
    ("kafka", "null-value"): "Powertools cannot read null",
    ("kinesis", "window-final"): "as DynamoDB's",
    ("kinesis", "window-terminated"): "as DynamoDB's",
    ("logs", "decoded"): "no event, but what is packed in one",
    ("logs", "fields-decoded"): "no event, but what is packed in one",
}


class Samples(PeerTest):
    def names(self):
        return re.findall(r"^ +([a-z0-9]+) ([a-z0-9-]+):", weir_command("event", "--help").stdout, re.MULTILINE)

    def judged(self, judge, event):
        return subprocess.run([parts.command("node"), parts.HERE / "judge" / judge[0], *judge[1:]], input=json.dumps([event]),
                              capture_output=True, text=True, timeout=30, env={"NODE_PATH": parts.powertools()})

    def test_powertools_knows_every_event(self):
        names = self.names()
        self.assertGreater(len(names), 30, names)
        self.assertLessEqual(set(NOT_JUDGED), set(names))
        for source, judge in JUDGES.items():
            for name in [""] + [name for each, name in names if each == source]:
                if (source, name) in NOT_JUDGED:
                    continue
                if source == "s3":
                    judge = ("s3.cjs", "eventbridge" if name.startswith("eventbridge-") else "notification")
                with self.subTest(source=source, name=name):
                    event = json.loads(weir_command("event", source, *([name] if name else [])).stdout)
                    verdict = self.judged(judge, event)
                    self.assertEqual((verdict.returncode, verdict.stderr), (0, ""), json.dumps(event, indent=1))

    def test_a_judge_refuses_what_is_no_event_of_its_source(self):
        event = json.loads(weir_command("event", "sns").stdout)
        for source, judge in JUDGES.items():
            if source != "sns":
                self.assertNotEqual(self.judged(judge, event).returncode, 0, source)
