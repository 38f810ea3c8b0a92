"""Versions of configured functions, and provisioned concurrency, with AWS's own clients: allocation, what runs where, spillover, an alias that moves, a restart, refusals."""

import concurrent.futures
import json
import time

import test_lambda_api as api
from lib.lambda_client import LambdaClient
from lib.weir import Weir, command

# Says how it was initialized, and waits while it is asked to.
CODE = """
import os, time
if os.environ.get("FAILS"): raise RuntimeError("no init")
print("initialized")
def handler(event, context):
    time.sleep(event.get("seconds", 0))
    return {"type": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"], "version": context.function_version}
"""


class Provisioned(LambdaClient):
    def make(self, name, **more):
        creation = self.creation(name, **more)
        creation["Code"] = {"ZipFile": api.zipped("app.py", CODE)}
        self.ask("boto3", ["CreateFunction", {**creation, "Publish": True}], ["wait:function_active_v2", {"FunctionName": name}],
                 ["CreateAlias", {"FunctionName": name, "Name": "live", "FunctionVersion": "1"}])

    def status_of(self, name, qualifier="live", client="boto3"):
        return self.ask(client, ["GetProvisionedConcurrencyConfig", {"FunctionName": name, "Qualifier": qualifier}])

    def wait_for(self, status, name, qualifier="live"):
        for _ in range(60):
            shown = self.status_of(name, qualifier)
            if shown.get("Status") == status:
                return shown
            time.sleep(0.3)
        self.fail(shown)

    def metric(self, name):
        _, text = self.bridge.get("/metrics")
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name))

    def test_environments_are_kept_ready_and_used_first(self):
        self.make("warm")
        put = self.ask("boto3", ["PutProvisionedConcurrencyConfig", {"FunctionName": "warm", "Qualifier": "live",
                                                                     "ProvisionedConcurrentExecutions": 2}])
        self.assertEqual((put["status"], put["Status"], put["AllocatedProvisionedConcurrentExecutions"],
                          put["AvailableProvisionedConcurrentExecutions"], put["RequestedProvisionedConcurrentExecutions"]),
                         (202, "IN_PROGRESS", 0, 0, 2))
        ready = self.wait_for("READY", "warm")
        self.assertEqual((ready["AllocatedProvisionedConcurrentExecutions"], ready["AvailableProvisionedConcurrentExecutions"]), (2, 2))
        self.assertEqual(self.status_of("warm", client="node")["Status"], "READY")
        listed = self.ask("node", ["ListProvisionedConcurrencyConfigs", {"FunctionName": "warm"}])["ProvisionedConcurrencyConfigs"]
        self.assertEqual([each["FunctionArn"] for each in listed], [api.ARN + "warm:live"])
        self.assertEqual(self.aws("get-provisioned-concurrency-config", "--function-name", "warm", "--qualifier", "live")["Status"], "READY")
        self.assertEqual(self.invoke("warm", qualifier="live", payload="{}"), {"type": "provisioned-concurrency", "version": "1"})
        self.assertEqual(self.invoke("warm", payload="{}")["type"], "on-demand")

        # Three at once: one of them finds no provisioned environment.
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            slow = [pool.submit(self.invoke, "warm", qualifier="live", payload=json.dumps({"seconds": 4})) for _ in range(3)]
            self.assertEqual(sorted(each.result()["type"] for each in slow),
                             ["on-demand", "provisioned-concurrency", "provisioned-concurrency"])
        self.assertEqual(self.metric("lambda_provisioned_concurrency_invocations_total"), 3)
        self.assertEqual(self.metric("lambda_provisioned_concurrency_spillover_invocations_total"), 1)
        self.assertEqual(self.metric("lambda_provisioned_concurrent_executions_max"), 2)

        # The alias takes them along, and a restart keeps them.
        self.ask("boto3", ["UpdateFunctionConfiguration", {"FunctionName": "warm", "Description": "second"}],
                 ["PublishVersion", {"FunctionName": "warm"}],
                 ["UpdateAlias", {"FunctionName": "warm", "Name": "live", "FunctionVersion": "2"}])
        self.wait_for("READY", "warm")
        self.assertEqual(self.invoke("warm", qualifier="live", payload="{}"), {"type": "provisioned-concurrency", "version": "2"})
        self.assertEqual(self.bridge.terminate(), 0)
        self.bridge.start()
        self.wait_for("READY", "warm")
        self.assertEqual(self.invoke("warm", qualifier="live", payload="{}")["type"], "provisioned-concurrency")
        gone, then = self.ask("boto3", ["DeleteProvisionedConcurrencyConfig", {"FunctionName": "warm", "Qualifier": "live"}],
                              ["GetProvisionedConcurrencyConfig", {"FunctionName": "warm", "Qualifier": "live"}])
        self.assertEqual((gone["status"], then["refused"]), (204, "ProvisionedConcurrencyConfigNotFoundException"))
        self.assertEqual(self.invoke("warm", qualifier="live", payload="{}")["type"], "on-demand")

    def test_an_initialization_that_fails_is_told(self):
        self.make("broken", FAILS="1")
        self.ask("boto3", ["PutProvisionedConcurrencyConfig", {"FunctionName": "broken", "Qualifier": "live",
                                                               "ProvisionedConcurrentExecutions": 1}])
        shown = self.wait_for("FAILED", "broken")
        self.assertEqual((shown["StatusReason"], shown["AllocatedProvisionedConcurrentExecutions"]), ("FUNCTION_ERROR_INIT_FAILURE", 0))

    def test_refusals(self):
        self.make("few")

        def put(qualifier, amount):
            answer = self.ask("boto3", ["PutProvisionedConcurrencyConfig", {"FunctionName": "few", "Qualifier": qualifier,
                                                                            "ProvisionedConcurrentExecutions": amount}])
            return answer.get("message", answer.get("status"))
        self.assertEqual(put("$LATEST", 1), "Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
        self.assertEqual(put("live", 901), "Specified ConcurrentExecutions for function decreases account's "
                                           "UnreservedConcurrentExecution below its minimum value of [100].")
        self.assertEqual(put("live", 1001), "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000].")
        self.ask("boto3", ["PutFunctionConcurrency", {"FunctionName": "few", "ReservedConcurrentExecutions": 2}])
        self.assertEqual(put("live", 3), "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function")
        self.assertEqual(put("live", 2), 202)
        self.assertEqual(put("1", 1), "Version is pointed by a Provisioned Concurrency alias")
        lower = self.ask("boto3", ["PutFunctionConcurrency", {"FunctionName": "few", "ReservedConcurrentExecutions": 1}])
        self.assertEqual(lower["message"], " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2].")
        # All of the reservation is provisioned: nothing is left for $LATEST.
        self.wait_for("READY", "few")
        throttled = self.ask("boto3", ["Invoke", {"FunctionName": "few", "Payload": "{}"}])
        self.assertEqual(throttled["refused"], "TooManyRequestsException")
        self.assertEqual(self.invoke("few", qualifier="live", payload="{}")["type"], "provisioned-concurrency")

    def test_a_function_of_the_configuration_has_versions(self):
        source = self.folder / "src"
        source.mkdir()
        (source / "app.py").write_text(api.PYTHON % "one")
        settings = {"runtime": "python3.12", "handler": "app.handler", "directory": str(source), "timeout": 20,
                    "environment": {"WEIR_PEER_MARK": self.mark, "STAGE": "a"}}
        self.assertEqual(self.bridge.terminate(), 0)
        self.bridge = Weir(self.folder / "own", {"own": settings, "shared": {**settings, "directory": "."}}, {})
        self._bridges.append(self.bridge)
        self.bridge.start()
        own = {"FunctionName": "own"}
        first, again, *_ = self.ask("boto3", ["PublishVersion", own], ["PublishVersion", own],
                                    ["CreateAlias", {**own, "Name": "live", "FunctionVersion": "1"}],
                                    ["wait:published_version_active", {**own, "Qualifier": "1"}])
        self.assertEqual((first["status"], first["Version"], again["Version"]), (201, "1", "1"))
        (source / "app.py").write_text(api.PYTHON % "two")
        second = self.ask("node", ["PublishVersion", own])
        self.assertEqual(second["Version"], "2")
        self.assertNotEqual(first["CodeSha256"], second["CodeSha256"])
        self.ask("boto3", ["PutProvisionedConcurrencyConfig", {**own, "Qualifier": "live", "ProvisionedConcurrentExecutions": 1}])
        expected = {"said": "one", "event": 1, "version": "1", "stage": "a"}

        def what_runs():
            self.wait_for("READY", "own")
            self.assertEqual(self.invoke("own", qualifier="live"), expected)
            self.assertEqual(self.invoke("own", qualifier="2")["said"], "two")
        what_runs()
        # What the configuration says of $LATEST changes; the versions stay as they are.
        config = json.loads(self.bridge.config.read_text())
        config["functions"]["own"]["environment"]["STAGE"] = "b"
        self.bridge.config.write_text(json.dumps(config))
        reloaded = command("reload", "--config", self.bridge.config)
        self.assertEqual(reloaded.returncode, 0, reloaded.stderr)
        self.assertEqual(self.invoke("own")["stage"], "b")
        what_runs()
        self.assertEqual(self.bridge.terminate(), 0)
        self.bridge.start()
        what_runs()
        self.assertEqual(self.ask("boto3", ["PublishVersion", own])["Version"], "3")
        refused, changed = self.ask("boto3", ["PublishVersion", {"FunctionName": "shared"}],
                                    ["UpdateFunctionConfiguration", {**own, "Timeout": 5}])
        self.assertIn("no code folder of its own", refused["message"])
        self.assertEqual(changed["refused"], "ResourceConflictException")
