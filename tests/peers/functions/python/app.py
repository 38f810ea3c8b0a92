"""The function of the peer tests for Python, run by AWS's own runtime client (PyPI awslambdaric).

Does what functions/node/index.mjs does, and is told so by the same variables and events.
"""

import base64
import json
import os
import signal
import time

OUT = os.environ.get("WEIR_PEER_OUT", "")
EVENTS = os.environ.get("WEIR_PEER_EVENTS")
DELAY = int(os.environ.get("WEIR_PEER_DELAY_MS", "0")) / 1000
NAME = os.environ.get("WEIR_PEER_NAME", "")


class OrderRefused(Exception):
    pass


def first_time(what):
    try:
        os.close(os.open(f"{OUT}.{what}", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        return True
    except FileExistsError:
        return False


def on_records(event, context):
    records = [
        {"shard": shard, "topic": r["topic"], "partition": r["partition"], "offset": r["offset"],
         "value": None if r.get("value") is None else base64.b64decode(r["value"], validate=True).decode()}
        for shard, several in event["records"].items() for r in several
    ]
    line = {"name": NAME, "pid": os.getpid(), "request_id": context.aws_request_id, "records": records}
    out = os.open(OUT, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o644)
    os.write(out, (json.dumps(line) + "\n").encode())
    os.close(out)
    if EVENTS:
        with open(f"{EVENTS}/{context.aws_request_id}.json", "w", encoding="utf-8") as kept:
            json.dump(event, kept)
    time.sleep(DELAY)
    for r in records:
        if (r["value"] or "").startswith("throw-once") and first_time(f"{r['topic']}-{r['partition']}-{r['offset']}"):
            raise OrderRefused(f"record {r['topic']}/{r['partition']}@{r['offset']}")


def handler(event, context):
    print("peer function was asked for", "records" if "records" in event else event.get("do"))
    if "records" in event:
        return on_records(event, context)
    match event.get("do"):
        case "echo":
            return {"event": event, "request_id": context.aws_request_id, "arn": context.invoked_function_arn,
                    "left": context.get_remaining_time_in_millis()}
        case "environment":
            return dict(os.environ)
        case "throw":
            raise OrderRefused("no such customer: Zoë")
        case "exit":
            os._exit(event["status"])
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hang":
            time.sleep(600)
        case "huge":
            return "x" * event["bytes"]
    raise ValueError(f"what is {json.dumps(event)}?")
