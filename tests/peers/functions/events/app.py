"""A function that keeps every event as it came: a file a request, named by its id, under $WEIR_PEER_EVENTS."""

import json
import os


def handler(event, context):
    path = f"{os.environ['WEIR_PEER_EVENTS']}/{context.aws_request_id}.json"
    with open(path + ".part", "w", encoding="utf-8") as kept:
        json.dump(event, kept)
    os.rename(path + ".part", path)
