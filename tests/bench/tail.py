"""Tailing a file through a subscription filter against grep."""

import base64
import gzip
import json
import os
import pathlib
import random
import statistics
import subprocess
import time

import front

MIB = 1024 * 1024
BLOCK = 16 * MIB
# One line in so many has one of the words: an application that is well.
WANTED_OF = 1000
WORDS = ("ERROR", "FATAL")


def block(source):
    """Lines of about 120 bytes, as applications write them."""
    lines, size = [], 0
    while size < BLOCK:
        number = source.randrange(10_000_000)
        level = source.choice(WORDS) if number % WANTED_OF == 0 else source.choice(["INFO ", "DEBUG", "WARN "])
        lines.append(f"2026-03-04T05:06:{number % 60:02d}.{number % 1000:03d}Z {level} [worker-{number % 16}] order {number} of customer "
                     f"{number * 7 % 100_000} was charged, {number % 900} ms, request {number:032x}\n")
        size += len(lines[-1])
    return "".join(lines).encode()


def write_file(path, size):
    pieces = [block(random.Random(seed)) for seed in range(4)]
    with path.open("wb") as file:
        written = 0
        while written < size:
            written += file.write(pieces[(written // BLOCK) % len(pieces)])
    return written


def processor_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def grepped(path, words):
    """(lines, seconds)."""
    begin = time.monotonic()
    done = subprocess.run(["grep", "-c", *(part for word in words for part in ("-e", word)), path], stdout=subprocess.PIPE,
                          text=True, check=True, timeout=300, env={**os.environ, "LC_ALL": "C"})
    return int(done.stdout), time.monotonic() - begin


def tailed(bench, path, words, expected):
    """(seconds from the file's appearance to the function's entry with its last lines, weir's processor time)."""
    notes, folder = bench.new_folder() / "notes", bench.new_folder()
    pattern = words[0] if len(words) == 1 else " ".join("?" + word for word in words)
    source = {"type": "logs", "function": "bench", "files": [str(folder / "*.log")], "filter_pattern": pattern,
              "starting_position": "TRIM_HORIZON"}
    with front.weir(bench, {"bench": front.function(bench, notes=notes)}, {"lines": source}) as bridge:
        time.sleep(1)
        before = processor_seconds(bridge.process)
        begin = time.time_ns()
        os.link(path, folder / "app.log")
        came, last, size = 0, 0, 0
        patience = time.monotonic() + 300
        while came < expected:
            if time.monotonic() > patience:
                raise RuntimeError(f"{came} of {expected} lines came")
            # Looked at only when nothing more comes: what it holds is packed, and unpacking it would take a core.
            time.sleep(0.5)
            if notes.exists() and notes.stat().st_size != size:
                size = notes.stat().st_size
                continue
            came, last = 0, 0
            for line in notes.read_text().splitlines() if notes.exists() else ():
                entered, data = line.split(" ", 1)
                came += len(json.loads(gzip.decompress(base64.b64decode(data)))["logEvents"])
                last = max(last, int(entered))
        if came != expected:
            raise RuntimeError(f"{came} lines came, of which there are {expected}")
        return (last - begin) / 1e9, processor_seconds(bridge.process) - before


def tail(bench):
    """Tailing a file of 1 GB through a subscription filter, to the function, against grep -c with the same words."""
    rounds, size = (1, 64 * MIB) if bench.quick else (5, 1024 * MIB)
    path = bench.new_folder() / "big.log"
    written = write_file(path, size)
    for words in (WORDS[:1], WORDS):
        theirs, ours, processor = [], [], []
        grepped(path, words)  # reads it into the page cache
        for _ in range(rounds):
            count, seconds = grepped(path, words)
            theirs.append(seconds)
            seconds, used = tailed(bench, path, words, count)
            ours.append(seconds)
            processor.append(used)
        bench.add("tail", f"bytes/s through a filter of {len(words)} word{'s' * (len(words) > 1)}, to the function, against grep -c",
                  statistics.median(grep / weir for grep, weir in zip(theirs, ours)), "ratio", least=0.2,
                  weir_mib_per_second=round(written / MIB / statistics.median(ours)),
                  grep_mib_per_second=round(written / MIB / statistics.median(theirs)),
                  weir_processor_seconds=round(statistics.median(processor), 2), lines=count)


FIGURES = (tail,)
