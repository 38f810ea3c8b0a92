"""AWS's Runtime Interface Emulator beside weir, with the same function: what it answers otherwise than Lambda, and that weir
answers as Lambda does (docs/semantics.md)."""

import base64
import json

from lib import weir
from lib.case import PeerTest
from test_clients import invoke
from test_endpoints import Rie

MARKED = {"X-Amz-Function-Error", "X-Amz-Executed-Version", "X-Amz-Log-Result", "x-amzn-RequestId"}


class Gateway:
    """The emulator's address, for invoke()."""

    def __init__(self, url):
        self.gateway = url


class SideBySide(PeerTest):
    def both(self, timeout=20, handler="app.handler"):
        """(the emulator, weir), each with the function `function`."""
        rie = Rie(self.folder, self.mark, timeout=timeout, handler=handler)
        self.addCleanup(rie.stop)
        function = weir.function("python", self.mark, timeout=timeout)
        function["command"][-1] = handler
        bridge = weir.Weir(self.folder / "bridge", {"function": function}, {})
        self._bridges.append(bridge)
        return Gateway(rie.url), bridge.start()

    def ask(self, sides, event, **headers):
        theirs, ours = (invoke(side, "function", event, **headers) for side in sides)
        self.assertEqual({name for name in MARKED if theirs[1][name] is not None}, set(), "the emulator sends none of Lambda's headers")
        return theirs, ours

    def function_error(self, ours, kind):
        status, headers, payload = ours
        self.assertEqual((status, headers["X-Amz-Function-Error"], headers["X-Amz-Executed-Version"]), (200, "Unhandled", "$LATEST"), payload)
        self.assertEqual(payload["errorType"], kind)
        return payload

    def test_answers_and_errors_of_the_handler(self):
        sides = self.both()
        with self.subTest("an answer: with the version, and the id that the handler has"):
            theirs, ours = self.ask(sides, {"do": "echo"}, X_Amz_Log_Type="Tail")
            self.assertEqual((theirs[0], ours[0], theirs[2]["event"], ours[2]["event"]), (200, 200, {"do": "echo"}, {"do": "echo"}))
            self.assertEqual((ours[1]["X-Amz-Executed-Version"], ours[1]["x-amzn-RequestId"]), ("$LATEST", ours[2]["request_id"]))
            self.assertIn("peer function was asked for echo", base64.b64decode(ours[1]["X-Amz-Log-Result"]).decode())
        with self.subTest("an exception: the same document, but only Lambda's header tells it from an answer"):
            theirs, ours = self.ask(sides, {"do": "throw"})
            self.assertEqual(theirs[0], 200)
            payload = self.function_error(ours, "OrderRefused")
            self.assertEqual((theirs[2]["errorMessage"], set(theirs[2])), (payload["errorMessage"], set(payload)))
            self.assertIn("/var/task/app.py", payload["stackTrace"][0], "the code is where Lambda has it")
        with self.subTest("an event that is no JSON: the emulator gives it to the function, Lambda refuses it"):
            theirs, ours = self.ask(sides, b"{not json")
            self.assertEqual((theirs[0], theirs[2]["errorType"]), (200, "Runtime.UnmarshalError"))
            self.assertEqual((ours[0], ours[1]["x-amzn-ErrorType"]), (400, "InvalidRequestContentException"))
        with self.subTest("a type of invocation: the emulator reads none and waits for the answer"):
            for kind, status in (("Event", 202), ("DryRun", 204)):
                theirs, ours = self.ask(sides, {"do": "echo"}, X_Amz_Invocation_Type=kind)
                self.assertEqual((theirs[0], theirs[2]["event"]), (200, {"do": "echo"}))
                self.assertEqual((ours[0], ours[2]), (status, ""))
        with self.subTest("another function"):
            theirs, ours = (invoke(side, "nobody", {}) for side in sides)
            self.assertEqual(theirs[0], 404)
            self.assertEqual((ours[0], ours[1]["x-amzn-ErrorType"]), (404, "ResourceNotFoundException"))
            self.assertEqual(ours[2]["Message"], "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody:$LATEST")

    def test_sizes(self):
        sides = self.both()
        with self.subTest("an event over 6 MiB: the emulator takes it"):
            event = json.dumps({"do": "environment", "text": "x" * 6_291_456}).encode()
            theirs, ours = self.ask(sides, event)
            self.assertEqual((theirs[0], ours[0]), (200, 413))
            self.assertEqual(ours[2]["Message"], "Request must be smaller than 6291456 bytes for the InvokeFunction operation")
        with self.subTest("an answer over 6 MiB"):
            theirs, ours = self.ask(sides, {"do": "huge", "bytes": 6_291_555})
            payload = self.function_error(ours, "Function.ResponseSizeTooLarge")
            self.assertIn("6291556", payload["errorMessage"])
            self.assertIn("6291556", json.dumps(theirs[2]))

    def test_a_timeout(self):
        theirs, ours = self.ask(self.both(timeout=1), {"do": "hang"})
        self.assertEqual((theirs[0], theirs[2]), (200, "Task timed out after 1.00 seconds"), "no JSON")
        payload = self.function_error(ours, "Sandbox.Timedout")
        self.assertRegex(payload["errorMessage"], "^RequestId: .* Error: Task timed out after 1.00 seconds$")

    def test_a_process_that_exits(self):
        theirs, ours = self.ask(self.both(), {"do": "exit", "status": 3})
        self.assertEqual((theirs[0], theirs[2]["errorType"]), (502, "Runtime.ExitError"), "to Lambda it is the function's error: 200")
        payload = self.function_error(ours, "Runtime.ExitError")
        self.assertRegex(payload["errorMessage"], "Error: Runtime exited with error: exit status 3$")

    def test_an_init_that_fails(self):
        theirs, ours = self.ask(self.both(handler="nowhere.handler"), {"do": "echo"})
        self.assertEqual(theirs[0], 502)
        payload = self.function_error(ours, "Runtime.ImportModuleError")
        self.assertIn("No module named 'nowhere'", payload["errorMessage"])
