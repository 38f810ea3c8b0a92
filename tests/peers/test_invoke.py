"""`weir invoke` with AWS's own runtime clients: Lambda's answers and errors, and the exit codes."""

import json
import os
import re

from lib import processes, weir
from lib.case import PeerTest

RUNTIMES = ("node", "python")
SUCCESS, FUNCTION_ERROR, BAD_CALL, NOT_DELIVERED = 0, 1, 2, 3
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class Invoke(PeerTest):
    """Each test is done for the Node and for the Python client."""

    def invoke(self, runtime, event, *options, timeout=20, **environment):
        """(exit status, payload, stderr) of one invocation; the payload parsed when it is JSON."""
        bridge = weir.Weir(self.folder / "bridge", {
            "node": weir.function("node", self.mark, timeout=timeout, **environment),
            "python": weir.function("python", self.mark, timeout=timeout, **environment),
        }, {})
        file = self.folder / "event.json"
        file.write_text(event if isinstance(event, str) else json.dumps(event))
        done = weir.command("invoke", runtime, "--config", bridge.config, "--event", file, *options,
                            env={**os.environ, "WEIR_PEER_CALLER": "only the caller's"})
        try:
            payload = json.loads(done.stdout)
        except ValueError:
            payload = done.stdout
        processes.wait_until(lambda: f"the function ends with weir: {processes.with_environment(self.mark)}",
                             lambda: not processes.with_environment(self.mark), 5)
        return done.returncode, payload, done.stderr

    def test_an_answer(self):
        for runtime in RUNTIMES:
            with self.subTest(runtime=runtime):
                event = {"do": "echo", "text": "Zoë \U0001f600", "number": 12345678901234567, "nothing": None}
                status, payload, told = self.invoke(runtime, event)
                self.assertEqual(status, SUCCESS, told)
                if runtime == "python":  # a JavaScript number holds 53 bits
                    self.assertEqual(payload["event"], event)
                self.assertEqual(payload["event"]["text"], event["text"])
                self.assertRegex(payload["request_id"], f"^{UUID}$")
                self.assertRegex(payload["arn"], rf"^arn:aws:lambda:[a-z0-9-]+:\d{{12}}:function:{runtime}$")
                self.assertTrue(15_000 < payload["left"] <= 20_000, payload["left"])

    def test_the_environment_is_lambdas_and_not_the_callers(self):
        for runtime in RUNTIMES:
            with self.subTest(runtime=runtime):
                status, payload, told = self.invoke(runtime, {"do": "environment"}, WEIR_PEER_EXTRA="yes")
                self.assertEqual(status, SUCCESS, told)
                self.assertEqual(payload["WEIR_PEER_EXTRA"], "yes")
                self.assertEqual((payload["AWS_LAMBDA_FUNCTION_NAME"], payload["AWS_LAMBDA_FUNCTION_VERSION"],
                                  payload["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]), (runtime, "$LATEST", "512"))
                for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME",
                             "LAMBDA_TASK_ROOT", "AWS_LAMBDA_INITIALIZATION_TYPE"):
                    self.assertIn(name, payload)
                self.assertNotIn("WEIR_PEER_CALLER", payload, "the caller's own environment is not the function's")

    def test_a_handler_that_throws(self):
        shapes = {"node": {"errorType", "errorMessage", "trace"},
                  "python": {"errorType", "errorMessage", "requestId", "stackTrace"}}
        for runtime in RUNTIMES:
            with self.subTest(runtime=runtime):
                status, payload, told = self.invoke(runtime, {"do": "throw"})
                self.assertEqual(status, FUNCTION_ERROR, told)
                self.assertEqual(set(payload), shapes[runtime])
                self.assertEqual((payload["errorType"], payload["errorMessage"]), ("OrderRefused", "no such customer: Zoë"))

    def test_a_handler_that_takes_too_long(self):
        for runtime in RUNTIMES:
            with self.subTest(runtime=runtime):
                status, payload, told = self.invoke(runtime, {"do": "hang"}, timeout=1)
                self.assertEqual(status, FUNCTION_ERROR, told)
                self.assertEqual(set(payload), {"errorType", "errorMessage"})
                self.assertEqual(payload["errorType"], "Sandbox.Timedout")
                self.assertRegex(payload["errorMessage"], f"^RequestId: {UUID} Error: Task timed out after 1.00 seconds$")

    def test_a_process_that_exits(self):
        rows = [({"do": "exit", "status": 0}, "Runtime exited without providing a reason"),
                ({"do": "exit", "status": 3}, "Runtime exited with error: exit status 3"),
                ({"do": "kill"}, "Runtime exited with error: signal: killed")]
        for runtime in RUNTIMES:
            with self.subTest(runtime=runtime):
                for event, reason in rows:
                    with self.subTest(event=event):
                        status, payload, told = self.invoke(runtime, event)
                        self.assertEqual(status, FUNCTION_ERROR, told)
                        self.assertEqual(payload["errorType"], "Runtime.ExitError")
                        self.assertRegex(payload["errorMessage"], f"^RequestId: {UUID} Error: {re.escape(reason)}$")

    def test_an_answer_at_the_limit_and_over_it(self):
        for runtime in RUNTIMES:
            with self.subTest(runtime=runtime):
                # 6,291,556 bytes is the limit; two of them are the quotes of the JSON text.
                status, payload, told = self.invoke(runtime, {"do": "huge", "bytes": 6_291_554})
                self.assertEqual((status, len(payload)), (SUCCESS, 6_291_554), told)
                status, payload, told = self.invoke(runtime, {"do": "huge", "bytes": 6_291_555})
                self.assertEqual(status, FUNCTION_ERROR, told)
                self.assertEqual(payload, {
                    "errorType": "Function.ResponseSizeTooLarge",
                    "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes)."})

    def test_the_log_has_lambdas_lines(self):
        for runtime in RUNTIMES:
            with self.subTest(runtime=runtime):
                status, _, told = self.invoke(runtime, {"do": "echo"}, "--log")
                self.assertEqual(status, SUCCESS, told)
                self.assertRegex(told, f"START RequestId: {UUID} Version: \\$LATEST")
                self.assertIn("peer function was asked for echo", told)
                self.assertRegex(told, f"END RequestId: {UUID}")
                self.assertRegex(told, f"REPORT RequestId: {UUID}\tDuration: [0-9.]+ ms\tBilled Duration: [0-9]+ ms\t"
                                       "Memory Size: 512 MB\tMax Memory Used: [0-9]+ MB\tInit Duration: [0-9.]+ ms")

    def test_a_handler_that_is_not_there(self):
        for runtime in RUNTIMES:
            with self.subTest(runtime=runtime):
                function = weir.function(runtime, self.mark)
                function["command"][-1] = "nowhere.handler"
                bridge = weir.Weir(self.folder / f"astray-{runtime}", {"astray": function}, {})
                done = weir.command("invoke", "astray", "--config", bridge.config, "--event", "-", stdin="{}")
                self.assertEqual(done.returncode, FUNCTION_ERROR, done.stderr)
                self.assertIn("errorType", json.loads(done.stdout))
                self.assertRegex(json.loads(done.stdout)["errorType"], r"^Runtime\.\w+$")

    def test_a_bad_call(self):
        for runtime in RUNTIMES:
            with self.subTest(runtime=runtime):
                status, _, told = self.invoke(runtime, "{not json")
                self.assertEqual(status, BAD_CALL, told)
                self.assertTrue(told.strip(), "it says why")
        status, _, told = self.invoke("nobody", {})
        self.assertEqual(status, BAD_CALL, told)
        self.assertIn("nobody", told)

    def test_a_command_that_is_not_there(self):
        bridge = weir.Weir(self.folder / "absent", {"absent": {"command": ["./no-such-program"], "directory": str(self.folder)}},
                           {})
        done = weir.command("invoke", "absent", "--config", bridge.config, "--event", "-", stdin="{}")
        self.assertIn(done.returncode, (FUNCTION_ERROR, NOT_DELIVERED), done.stderr)
        self.assertIn("no-such-program", done.stdout + done.stderr)
