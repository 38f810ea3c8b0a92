"""Response streaming with AWS's own parts at both ends: awslambda.streamifyResponse of npm's aws-lambda-ric, called by boto3 and by
@aws-sdk/client-lambda."""

import json
import os
import subprocess

from lib import parts
from lib.case import PeerTest
from lib.weir import Weir

HANDLER = r"""
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  if (event.http) stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });
  stream.write("one");
  await new Promise((resolve) => setTimeout(resolve, 700));
  if (event.fail) throw new TypeError("late");
  stream.write("two");
  stream.end();
});
"""

# Events on stdin; for each: what came, when the first of it came before the end, and how it ended.
BOTO = r"""
import boto3, json, sys, time
from botocore.config import Config
client = boto3.client("lambda", endpoint_url=sys.argv[1], region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))
out = []
for event in json.load(sys.stdin):
    answer = client.invoke_with_response_stream(FunctionName="f", Payload=json.dumps(event), LogType="Tail")
    text, first, end = "", None, None
    for each in answer["EventStream"]:
        if "PayloadChunk" in each:
            first = first or time.monotonic()
            text += each["PayloadChunk"]["Payload"].decode()
        else:
            end = each["InvokeComplete"]
    out.append({"text": text, "ahead": time.monotonic() - first, "end": end, "version": answer["ExecutedVersion"]})
whole = client.invoke(FunctionName="f", Payload="{}")["Payload"].read().decode()
json.dump({"streamed": out, "whole": whole}, sys.stdout)
"""

NODE = r"""
const { LambdaClient, InvokeCommand, InvokeWithResponseStreamCommand } = require("@aws-sdk/client-lambda");
(async () => {
  const client = new LambdaClient({ endpoint: process.argv[2], region: "us-east-1", maxAttempts: 1 });
  const out = [];
  for (const event of JSON.parse(require("fs").readFileSync(0))) {
    const answer = await client.send(new InvokeWithResponseStreamCommand({ FunctionName: "f", Payload: JSON.stringify(event), LogType: "Tail" }));
    let text = "", first, end;
    for await (const each of answer.EventStream) {
      if (each.PayloadChunk) { first ??= performance.now(); text += Buffer.from(each.PayloadChunk.Payload).toString(); }
      else end = each.InvokeComplete;
    }
    out.push({ text, ahead: (performance.now() - first) / 1000, end, version: answer.ExecutedVersion });
  }
  const whole = Buffer.from((await client.send(new InvokeCommand({ FunctionName: "f", Payload: "{}" }))).Payload).toString();
  console.log(JSON.stringify({ streamed: out, whole }));
})();
"""


class Streaming(PeerTest):
    def start(self):
        code = self.folder / "code"
        code.mkdir()
        (code / "index.js").write_text(HANDLER)
        bridge = Weir(self.folder / "bridge", {"f": {"command": [parts.command("node"), parts.node_runtime_client(), "index.handler"],
                                                     "directory": str(code), "timeout": 20, "memory_size": 512,
                                                     "environment": {"WEIR_PEER_MARK": self.mark}}}, {})
        bridge.start()
        self.addCleanup(bridge.terminate)
        return bridge

    def ask(self, command):
        done = subprocess.run(command, input=json.dumps([{}, {"http": True}, {"fail": True}]), capture_output=True, text=True, timeout=60,
                              env={**os.environ, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "NODE_PATH": str(parts.client_lambda())})
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def check(self, said):
        plain, http, failed = said["streamed"]
        self.assertEqual((plain["text"], plain["version"]), ("onetwo", "$LATEST"))
        self.assertGreater(plain["ahead"], 0.5, "the first bytes came with the last")
        self.assertNotIn("ErrorCode", {name for name, value in plain["end"].items() if value})
        self.assertIn("LogResult", plain["end"])
        self.assertEqual(http["text"], '{"statusCode":201}' + "\0" * 8 + "onetwo")
        self.assertEqual((failed["text"], failed["end"]["ErrorCode"]), ("one", "TypeError"))
        self.assertEqual(json.loads(failed["end"]["ErrorDetails"])["errorMessage"], "late")
        self.assertEqual(said["whole"], "onetwo")

    def test_boto3(self):
        bridge = self.start()
        self.check(self.ask([parts.python_with_boto(), "-c", BOTO, bridge.gateway]))

    def test_client_lambda_of_node(self):
        bridge = self.start()
        script = self.folder / "call.js"
        script.write_text(NODE)
        self.check(self.ask([parts.command("node"), str(script), bridge.gateway]))
