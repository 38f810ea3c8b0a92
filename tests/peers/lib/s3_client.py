"""Carries out S3 operations with boto3, whose Python runs this: lib/minio.py starts it.

  s3_client.py ENDPOINT ACCESS_KEY SECRET_KEY

A line of stdin is [operation, arguments], with boto3's names; a line of stdout is {"answer": ...} or {"error": "..."}.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

endpoint, access_key, secret_key = sys.argv[1:]
client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=access_key,
                      aws_secret_access_key=secret_key,
                      config=Config(s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=20))
for line in sys.stdin:
    operation, arguments = json.loads(line)
    try:
        answer = getattr(client, operation)(**arguments)
        answer.pop("Body", None)
        print(json.dumps({"answer": answer}, default=str), flush=True)
    except (BotoCoreError, ClientError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
