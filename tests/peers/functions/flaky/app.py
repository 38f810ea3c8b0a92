"""A function that fails half the time. It writes down which request did what: a line "ID handled KEY" or "ID failed KEY" in
$WEIR_PEER_OUT, before it answers. KEY: of the S3 object, or nothing."""

import os
import random


def handler(event, context):
    if isinstance(event, dict) and event.get("waits"):  # its caller sees what becomes of it
        return None
    records = event.get("Records") if isinstance(event, dict) else None
    key = records[0]["s3"]["object"]["key"] if records and "s3" in records[0] else ""
    failing = random.random() < 0.5
    line = f"{context.aws_request_id} {'failed' if failing else 'handled'} {key}\n".encode()
    # One write to a file opened for appending: lines of several processes do not mix.
    out = os.open(os.environ["WEIR_PEER_OUT"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(out, line)
    finally:
        os.close(out)
    if failing:
        raise RuntimeError("this one fails")
