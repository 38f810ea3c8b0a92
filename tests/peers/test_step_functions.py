"""State machines whose tasks are functions of weir.

Step Functions Local itself, which AWS gives away as a jar on its own site and as an image, is in no registry that the tests reach.
What it sends is: with `--lambda-endpoint` it calls Lambda through version 1 of AWS's SDK for Java (its errors, Lambda.AWSLambdaException
among them, are that SDK's classes), which is in Maven Central. That SDK calls weir here. State machines are run by moto's
interpreter, which is LocalStack's, and calls Lambda through boto3.
"""

import json
import os
import subprocess
import time
import urllib.request

from lib import parts, processes, weir
from lib.case import PeerTest


class StepFunctions(PeerTest):
    def weir(self):
        function = weir.function("python", self.mark)
        bridge = weir.Weir(self.folder / "bridge", {"orders": function, "brief": {**function, "timeout": 1}}, {})
        self._bridges.append(bridge)
        return bridge.start()

    def test_the_sdk_that_step_functions_local_calls_with(self):
        bridge = self.weir()
        arn = "arn:aws:lambda:us-east-1:000000000000:function:"
        calls = [("orders", "RequestResponse", {"do": "echo", "text": "Zoë"}),
                 (f"{arn}orders", "RequestResponse", {"do": "echo"}),
                 (f"{arn}orders:$LATEST", "RequestResponse", {"do": "echo"}),
                 ("orders", "RequestResponse", {"do": "throw"}),
                 ("brief", "RequestResponse", {"do": "hang"}),
                 ("orders", "Event", {"do": "echo"}),
                 ("orders", "DryRun", {"do": "echo"}),
                 (f"{arn}nobody", "RequestResponse", {})]
        lines = "".join(f"{name}\t{kind}\t{json.dumps(event)}\n" for name, kind, event in calls)
        done = subprocess.run(parts.step_functions(bridge.gateway), input=lines, capture_output=True, text=True, timeout=60,
                              env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "AWS_EC2_METADATA_DISABLED": "true",
                                   "AWS_JAVA_V1_DISABLE_DEPRECATION_ANNOUNCEMENT": "true"})
        self.assertEqual(done.returncode, 0, done.stderr)
        named, by_arn, latest, thrown, timed_out, event, dry, nobody = (json.loads(line) for line in done.stdout.splitlines())
        self.assertEqual((named["status"], named["version"], named["error"]), (200, "$LATEST", None))
        answer = json.loads(named["payload"])
        self.assertEqual((answer["event"], answer["request_id"]), ({"do": "echo", "text": "Zoë"}, named["request_id"]))
        self.assertEqual(json.loads(by_arn["payload"])["arn"], f"{arn}orders")
        self.assertEqual(json.loads(latest["payload"])["arn"], f"{arn}orders:$LATEST")
        self.assertEqual((thrown["status"], thrown["error"], json.loads(thrown["payload"])["errorType"]),
                         (200, "Unhandled", "OrderRefused"))
        self.assertEqual((timed_out["status"], timed_out["error"], json.loads(timed_out["payload"])["errorType"]),
                         (200, "Unhandled", "Sandbox.Timedout"))
        self.assertEqual((event["status"], event["payload"]), (202, ""))
        self.assertEqual((dry["status"], dry["payload"]), (204, None))
        self.assertEqual(nobody, {"status": 404, "exception": "ResourceNotFoundException", "code": "ResourceNotFoundException",
                                  "message": f"Function not found: {arn}nobody:$LATEST"})
        self.assertEqual(bridge.terminate(), 0)

    def call(self, operation, **fields):
        """One call of moto's Step Functions."""
        request = urllib.request.Request(self.moto, json.dumps(fields).encode(), {
            "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"AWSStepFunctions.{operation}",
            "Authorization": "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/states/aws4_request, SignedHeaders=host, Signature=0"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def run_machine(self, name, states, event):
        """(status, output, error) of one execution, which begins with the state `begin`."""
        machine = self.call("CreateStateMachine", name=name, roleArn="arn:aws:iam::000000000000:role/r",
                            definition=json.dumps({"StartAt": "begin", "States": states}))
        execution = self.call("StartExecution", stateMachineArn=machine["stateMachineArn"], input=json.dumps(event))
        ended = {}

        def over():
            ended.update(self.call("DescribeExecution", executionArn=execution["executionArn"]))
            return ended["status"] != "RUNNING"
        processes.wait_until(lambda: f"the execution ends: {ended}", over, 60)
        return ended["status"], json.loads(ended["output"]) if ended.get("output") else None, ended.get("error")

    def test_state_machines_with_retry_and_catch(self):
        bridge = self.weir()
        port, = processes.free_ports(1)
        self.moto = f"http://127.0.0.1:{port}/"
        # Its interpreter calls Lambda where MOTO_PORT says that moto is.
        server = processes.start([parts.python_with_boto(), "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], self.folder / "moto.log",
                                 env={"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONPATH": parts.antlr4(),
                                      "MOTO_PORT": str(bridge.gateway_port), "AWS_EC2_METADATA_DISABLED": "true"})
        self.addCleanup(processes.stop, server, 5)

        def configured():
            try:
                wish = urllib.request.Request(f"{self.moto}moto-api/config", b'{"stepfunctions": {"execute_state_machine": true}}',
                                              {"Content-Type": "application/json"})
                return urllib.request.urlopen(wish, timeout=5).status == 201
            except OSError:
                return False
        processes.wait_until("moto answers", configured, 60)
        arn = "arn:aws:lambda:us-east-1:000000000000:function:orders"
        task = {"Type": "Task", "Resource": arn, "End": True}
        with self.subTest("a task is a function, by its ARN"):
            status, output, _ = self.run_machine("plain", {"begin": task}, {"do": "echo", "text": "Zoë"})
            self.assertEqual((status, output["event"], output["arn"]), ("SUCCEEDED", {"do": "echo", "text": "Zoë"}, arn))
        with self.subTest("lambda:invoke has the answer and what came with it"):
            status, output, _ = self.run_machine("invoke", {"begin": {
                "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
                "Parameters": {"FunctionName": "orders", "Payload.$": "$"}}}, {"do": "echo"})
            self.assertEqual((status, output["Payload"]["event"], output["StatusCode"], output["ExecutedVersion"]),
                             ("SUCCEEDED", {"do": "echo"}, 200, "$LATEST"))
        with self.subTest("a handler's error has its name in the state machine, after its retries"):
            catching = {"begin": {**task, "Retry": [{"ErrorEquals": ["OrderRefused"], "MaxAttempts": 1, "IntervalSeconds": 1}],
                                  "Catch": [{"ErrorEquals": ["OrderRefused"], "Next": "refused"}]},
                        "refused": {"Type": "Pass", "End": True}}
            begun = time.monotonic()
            status, output, _ = self.run_machine("catch", catching, {"do": "throw"})
            self.assertEqual((status, output["Error"]), ("SUCCEEDED", "OrderRefused"))
            self.assertEqual(json.loads(output["Cause"])["errorMessage"], "no such customer: Zoë")
            self.assertGreaterEqual(time.monotonic() - begun, 1, "it was tried again")
        with self.subTest("a function that is not there fails the execution"):
            status, _, error = self.run_machine("missing", {"begin": {
                "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
                "Parameters": {"FunctionName": "nobody", "Payload.$": "$"}}}, {})
            self.assertEqual((status, error), ("FAILED", "Lambda.ResourceNotFoundException"))
        self.assertEqual(bridge.terminate(), 0)
