"""AWS's own clients at weir's gateway: boto3, the AWS SDK for JavaScript, the aws command."""

import json
import os
import subprocess
import unittest.mock

from lib import parts
from lib.sqs import CREDENTIALS

# Each runs a list of [operation, arguments] and prints what they came to; of [operation, arguments, key] the items of that
# key on all pages, as the client's own paginator finds them.
_BOTO = r"""
import json, re, sys, boto3, botocore
from botocore.config import Config
client = boto3.client(sys.argv[1], endpoint_url=sys.argv[2], region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))
out = []
for operation, arguments, *key in json.load(sys.stdin):
    try:
        if key:
            pages = client.get_paginator(re.sub("(?<!^)([A-Z])", r"_\1", operation).lower()).paginate(**arguments)
            out.append([item for page in pages for item in page[key[0]]])
            continue
        answer = client._make_api_call(operation, arguments)
        answer.pop("ResponseMetadata")
        out.append(answer)
    except botocore.exceptions.ClientError as error:
        out.append({"error": error.response["Error"]["Code"], "message": error.response["Error"]["Message"]})
json.dump(out, sys.stdout, default=lambda time: time.timestamp())
"""
_NODE = r"""
const [, , name, url, part] = process.argv;
const sdk = require("@aws-sdk/client-" + part);
(async () => {
  const client = new sdk[name + "Client"]({ endpoint: url, region: "us-east-1", maxAttempts: 1 });
  const out = [];
  for (const [operation, args, key] of JSON.parse(require("fs").readFileSync(0))) {
    try {
      if (key) {
        const items = [];
        for await (const page of sdk["paginate" + operation]({ client }, args)) items.push(...page[key]);
        out.push(items);
        continue;
      }
      const { $metadata, ...answer } = await client.send(new sdk[operation + "Command"](args));
      out.push(answer);
    } catch (error) {
      out.push({ error: error.Code ?? error.name, message: error.message });
    }
  }
  process.stdout.write(JSON.stringify(out));
})();
"""
# By boto3's name: the client's name in JavaScript, its package, and where that is.
_NODES = {"logs": ("CloudWatchLogs", "cloudwatch-logs", parts.client_cloudwatch_logs),
          "sns": ("SNS", "sns", parts.client_sns)}


def sign(test):
    """Credentials for the test's clients and its bridges."""
    patch = unittest.mock.patch.dict(os.environ, CREDENTIALS)
    patch.start()
    test.addCleanup(patch.stop)


def environment(**more):
    """Of a client that knows nothing of this machine's settings for AWS."""
    return {**os.environ, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_DEFAULT_REGION": "us-east-1", **more}


def run(command, text=None, fails=False, **more):
    """What a program says, who has `text` on its stdin; of one that is to fail its complaint."""
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60, env=environment(**more))
    if (done.returncode != 0) != fails:
        raise AssertionError(f"{command[0]} ended with {done.returncode}: {done.stderr}")
    return done.stderr if fails else done.stdout


def calls(test, client, service, url, *asked):
    """What calls come to, [operation, arguments] or [operation, arguments, key] each, by "boto3" or "node"."""
    if client == "boto3":
        return json.loads(run([parts.python_with_boto(), "-c", _BOTO, service, url], json.dumps(asked)))
    name, part, folder = _NODES[service]
    script = test.folder / "client.js"
    script.write_text(_NODE)
    return json.loads(run([parts.command("node"), script, name, url, part], json.dumps(asked), NODE_PATH=folder()))


def aws(service, url, *arguments, fails=False):
    """What the aws command says; of a call that is to fail its complaint."""
    said = run([parts.command("aws"), "--endpoint-url", url, service, *arguments], fails=fails)
    return said if fails else json.loads(said or "{}")
