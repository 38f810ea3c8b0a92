"""`runtime` in place of `command`: AWS's own clients found by the name of Lambda's runtime, as Lambda's environment has them."""

import json
import os
import pathlib
import shutil

from lib import parts, weir
from lib.case import PeerTest


class Runtimes(PeerTest):
    def invoke(self, event, layers=(), **function):
        """(exit status, payload, stderr) of one invocation of a function with these settings."""
        environment = {"WEIR_PEER_MARK": self.mark, **function.pop("environment", {})}
        bridge = weir.Weir(self.folder / "bridge", {"f": {**function, "layers": [str(layer) for layer in layers], "timeout": 20,
                                                          "memory_size": 512, "environment": environment}}, {})
        file = self.folder / "event.json"
        file.write_text(json.dumps(event))
        done = weir.command("invoke", "f", "--config", bridge.config, "--event", file, env=dict(os.environ))
        return done.returncode, done.stdout, done.stderr

    def environment_of(self, told, status, text, execution):
        self.assertEqual(status, 0, told)
        seen = json.loads(text)
        self.assertEqual((seen["AWS_EXECUTION_ENV"], seen["LAMBDA_RUNTIME_DIR"]), (execution, "/var/runtime"))
        self.assertIn("/opt", seen["LD_LIBRARY_PATH"])
        return seen

    def test_nodejs_with_the_client_in_node_path(self):
        modules = pathlib.Path(parts.node_runtime_client()).parents[2]
        status, text, told = self.invoke({"do": "environment"}, runtime="nodejs20.x", handler="index.handler",
                                         directory=str(weir.FUNCTIONS / "node"), environment={"NODE_PATH": str(modules)})
        self.assertEqual(self.environment_of(told, status, text, "AWS_Lambda_nodejs20.x")["_HANDLER"], "index.handler")

    def test_nodejs_with_the_client_in_a_layer(self):
        modules = pathlib.Path(parts.node_runtime_client()).parents[2]
        layer = self.folder / "layer"
        shutil.copytree(modules, layer / "nodejs" / "node_modules", symlinks=True)
        status, text, told = self.invoke({"do": "environment"}, layers=[layer], runtime="nodejs20.x", handler="index.handler",
                                         directory=str(weir.FUNCTIONS / "node"))
        self.assertIn("/nodejs/node_modules", self.environment_of(told, status, text, "AWS_Lambda_nodejs20.x")["NODE_PATH"])

    def test_python_with_the_client_of_the_python_in_path(self):
        python = pathlib.Path(parts.python_with_runtime_client()).parent
        status, text, told = self.invoke({"do": "environment"}, runtime="python3.12", handler="app.handler",
                                         directory=str(weir.FUNCTIONS / "python"),
                                         environment={"PATH": f"{python}:/usr/local/bin:/usr/bin:/bin"})
        self.environment_of(told, status, text, "AWS_Lambda_python3.12")

    def test_provided_is_any_program_named_bootstrap(self):
        code = self.folder / "code"
        code.mkdir()
        shutil.copy(pathlib.Path(parts.weir()).parent / "functions" / "weir-function-counter", code / "bootstrap")
        status, text, told = self.invoke({"Records": []}, runtime="provided.al2023", directory=str(code))
        self.assertEqual(status, 0, text + told)

    def test_what_is_missing_is_said_before_anything_starts(self):
        status, text, told = self.invoke({}, runtime="nodejs20.x", handler="index.handler", directory=str(weir.FUNCTIONS / "node"),
                                         environment={"NODE_PATH": "/nowhere"})
        self.assertEqual(status, 2)
        self.assertIn("npm install aws-lambda-ric", told)
