"""Layers through Lambda's API with AWS's own clients, and functions that have them."""

import base64
import io
import urllib.request
import zipfile

import test_lambda_api as api
from lib.lambda_client import LambdaClient

LAYER = "arn:aws:lambda:us-east-1:000000000000:layer:"
CODE = """
import os, tool
def handler(event, context):
    return {"tool": tool.NAME, "data": open("/opt/data.txt").read() if os.path.exists("/opt/data.txt") else None}
"""


def layer_zip(**files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, text in files.items():
            file.writestr(zipfile.ZipInfo(name.replace("__", "/").replace("_dot_", "."), (2026, 1, 1, 0, 0, 0)), text)
    return base64.b64encode(out.getvalue()).decode()


class Layers(LambdaClient):
    def publish(self, name, text, **more):
        """With the aws command, whose zip is a file."""
        package = self.folder / f"{name}.zip"
        package.write_bytes(base64.b64decode(text))
        arguments = [part for key, value in more.items() for part in ("--" + key.replace("_", "-"), value)]
        return self.aws("publish-layer-version", "--layer-name", name, "--zip-file", f"fileb://{package}", *arguments)

    def test_a_function_with_layers(self):
        tool = layer_zip(python__tool_dot_py="NAME = 'one'\n")
        made = self.publish("tool", tool, compatible_runtimes="python3.12", license_info="MIT", description="a tool")
        self.assertEqual((made["Version"], made["LayerVersionArn"], made["Content"]["CodeSize"]),
                         (1, LAYER + "tool:1", len(base64.b64decode(tool))))
        with urllib.request.urlopen(made["Content"]["Location"], timeout=10) as answer:
            self.assertEqual(answer.read(), base64.b64decode(tool))
        self.publish("data", layer_zip(data_dot_txt="from the layer", python__tool_dot_py="NAME = 'two'\n"))
        creation = {**self.creation("layered"), "Code": {"ZipFile": api.zipped("app.py", CODE)}, "Layers": [LAYER + "tool:1"]}
        created, _ = self.ask("boto3", ["CreateFunction", creation], ["wait:function_active_v2", {"FunctionName": "layered"}])
        self.assertEqual([each["Arn"] for each in created["Layers"]], [LAYER + "tool:1"])
        self.assertEqual(self.invoke("layered", payload="{}"), {"tool": "one", "data": None})
        # Later layers win; a deleted version stays with the function, over a restart, too.
        self.ask("node", ["UpdateFunctionConfiguration", {"FunctionName": "layered", "Layers": [LAYER + "tool:1", LAYER + "data:1"]}],
                 ["wait:function_updated_v2", {"FunctionName": "layered"}],
                 ["DeleteLayerVersion", {"LayerName": "tool", "VersionNumber": 1}])
        self.assertEqual(self.invoke("layered", payload="{}"), {"tool": "two", "data": "from the layer"})
        self.assertEqual(self.bridge.terminate(), 0)
        self.bridge.start()
        self.assertEqual(self.invoke("layered", payload="{}"), {"tool": "two", "data": "from the layer"})
        missing = self.ask("boto3", ["CreateFunction", {**self.creation("other"), "Layers": [LAYER + "tool:1"]}])
        self.assertEqual(missing["message"], f"Layer version {LAYER}tool:1 does not exist.")

    def test_every_call_and_both_sdks_read_the_same(self):
        self.publish("base", layer_zip(a="1"), compatible_runtimes="python3.12", compatible_architectures="x86_64")
        self.publish("base", layer_zip(a="2"))
        name = {"LayerName": "base"}
        first = {**name, "VersionNumber": 1}
        permission = {**first, "StatementId": "s", "Action": "lambda:GetLayerVersion", "Principal": "*"}
        calls = [["ListLayers", {}], ["ListLayers", {"CompatibleRuntime": "python3.12"}], ["ListLayerVersions", name],
                 ["ListLayerVersions", {**name, "CompatibleArchitecture": "x86_64"}], ["ListLayerVersions", {**name, "MaxItems": 1}],
                 ["GetLayerVersion", first], ["GetLayerVersionByArn", {"Arn": LAYER + "base:1"}], ["GetLayerVersion", {**name, "VersionNumber": 9}],
                 ["GetLayerVersionPolicy", first], ["AddLayerVersionPermission", permission], ["AddLayerVersionPermission", permission],
                 ["GetLayerVersionPolicy", first], ["RemoveLayerVersionPermission", {**first, "StatementId": "s"}],
                 ["RemoveLayerVersionPermission", {**first, "StatementId": "s"}]]
        boto, node = self.ask("boto3", *calls), self.ask("node", *calls)
        for (operation, _), by_boto, by_node in zip(calls, boto, node):
            with self.subTest(operation):
                self.assertEqual((by_boto.get("refused"), by_boto.get("status")), (by_node.get("refused"), by_node.get("status")))
        answers = [answer.get("status") or answer["refused"] for answer in boto]
        self.assertEqual(answers, [200, 200, 200, 200, 200, 200, 200, "ResourceNotFoundException", "ResourceNotFoundException", 201,
                                   "ResourceConflictException", 200, 204, "ResourceNotFoundException"])
        self.assertEqual(boto[0]["Layers"][0]["LatestMatchingVersion"]["Version"], 2)
        self.assertEqual(boto[1]["Layers"][0]["LatestMatchingVersion"]["Version"], 1)
        self.assertEqual([each["Version"] for each in boto[2]["LayerVersions"]], [2, 1])
        self.assertEqual(boto[4]["NextMarker"], "2")
        self.assertEqual(boto[5]["Content"]["CodeSha256"], boto[6]["Content"]["CodeSha256"])

    def test_code_and_layers_together_have_a_limit(self):
        self.publish("large", self.large(120))
        self.publish("larger", self.large(131))
        creation = {**self.creation("heavy"), "Layers": [LAYER + "large:1", LAYER + "larger:1"]}
        refused = self.ask("boto3", ["CreateFunction", creation])
        self.assertIn("Function code combined with layers exceeds the maximum allowed size of 262144000 bytes.", refused["message"])
        creation["Layers"] = [LAYER + "large:1"]
        self.assertEqual(self.ask("boto3", ["CreateFunction", creation])["status"], 201)

    @staticmethod
    def large(megabytes):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            file.writestr("data.bin", bytes(megabytes << 20))
        return base64.b64encode(out.getvalue()).decode()
