"""The figures of event source mappings: lanes, and sources against what people use in their place."""

import json
import time

from lib import processes
from lib.weir import Weir


def parallel_once(bench, recording, records, factor):
    """Records a second through one shard with so many lanes, once their environments are warm."""
    functions = {"slow": {"command": [bench.program("functions/weir-function-counter")], "timeout": 30,
                          "environment": {"SLEEP_MS": "50"}}}
    sources = {"source": {"type": "file", "path": str(recording), "format": "recording", "batch_size": 50,
                          "parallelization_factor": factor, "function": "slow"}}
    weir = Weir(bench.new_folder(), functions, sources).start()
    try:
        def settled():
            return json.loads(weir.get("/status")[1])["sources"][0]["settled_events"]
        # The first tenth starts the environments, the last lacks records for every lane.
        marks = []
        for part in (0.1, 0.9):
            processes.wait_until("records are handled", lambda: settled() >= part * records, 120, every=0.005)
            marks.append((settled(), time.monotonic()))
        (first, began), (last, ended) = marks
        return (last - first) / (ended - began)
    finally:
        weir.terminate()


def parallel(bench):
    """Records a second of one shard whose function takes 50 ms, parallelization factor 10 against 1."""
    records = 4_000 if bench.quick else 20_000
    recording = bench.folder / "keys.jsonl"
    with open(recording, "w") as lines:
        for number in range(records):
            lines.write(json.dumps({"shardId": "shardId-000000000000", "partitionKey": f"key-{number % 1000}",
                                    "json": {"n": number}}) + "\n")
    sides = {factor: parallel_once(bench, recording, records, factor) for factor in (1, 10)}
    bench.add("parallel", "records/s, parallelization factor 10 against 1, function of 50 ms", sides[10] / sides[1], "times",
              least=9, factor_1=round(sides[1]), factor_10=round(sides[10]))


FIGURES = (parallel,)
