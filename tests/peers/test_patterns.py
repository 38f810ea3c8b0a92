"""Event patterns give the answers of AWS's event-ruler, which EventBridge publishes as its own: matches, and the words and
places of errors. Exceptions stand in EXCEPTIONS."""

import json
import subprocess

from lib import parts
from lib.case import PeerTest
from lib.pattern_pairs import TOO_MANY_WAYS, Pairs

PAIRS = 4000
DAMAGED = 2000
SEED = 20260912

# Where weir differs on purpose: the live service or the reference says otherwise, or the library fails. The generator draws
# nothing of these kinds but the first; test_exceptions shows each.
EXCEPTIONS = [
    # (what, pattern, event, weir's answer, the library's)
    ("the service refuses wildcards with too many ways to match; the library only weighs them",
     '{"a":[{"wildcard":"*:*:*:*:*:event-bus/*"}]}', '{"a":"x"}', None, False),
    ("one JSON object is a pattern; the library reads no further than its end",
     '{"a":[1]} x', '{"a":1}', None, True),
    ("an event is one JSON object, as a whole; the library reads no further than its end",
     '{"a":[1]}', '{"a":1} x', None, True),
    ("a numeric bound may be the largest double; the library breaks off",
     '{"a":[{"numeric":[">=",1.7976931348623157e308]}]}', '{"a":1.7976931348623157e308}', True, None),
    ("cidr passes on strings only; the library takes the digits of a number that no double is for an address",
     '{"a":[{"cidr":"0.0.0.0/0"}]}', '{"a":123456789012345678}', False, True),
    ("letters beyond 16 bits fold as a whole; the library folds their halves, and a letter does not equal itself",
     '{"a":[{"equals-ignore-case":"😀"}]}', '{"a":"😀"}', True, False),
    ("a field may have an empty name below another; the library never looks at it",
     '{"a":{"":[1]}}', '{"a":{"":1}}', True, False),
]
REASON = "Event pattern is not valid. Reason: "
TOO_COMPLEX = "Rule is too complex - "


class Patterns(PeerTest):
    def answers(self, command, pairs):
        lines = "".join(json.dumps({"id": [number], "pattern": pattern, "event": event}) + "\n"
                        for number, (pattern, event) in enumerate(pairs))
        done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        found = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual([each["id"] for each in found], [[number] for number in range(len(pairs))], "in order, ids as they were")
        return found

    def both(self, pairs):
        return zip(pairs, self.answers([parts.weir(), "match", "--jsonl"], pairs), self.answers(parts.event_ruler(), pairs))

    def test_same_answer_on_every_pair(self):
        source = Pairs(SEED)
        matches = {True: 0, False: 0, None: 0}
        too_complex = 0
        for (pattern, event), ours, theirs in self.both([source.pair() for _ in range(PAIRS)]):
            with self.subTest(pattern=pattern, event=event):
                matches[theirs["match"]] += 1
                reason = ours["error"] and ours["error"].removeprefix(REASON)
                if reason is not None and reason.startswith(TOO_COMPLEX):
                    too_complex += 1
                    self.assertIn(TOO_MANY_WAYS, pattern)  # the library's figure leaves out what stands behind exists:false
                else:
                    self.assertEqual((ours["match"], reason), (theirs["match"], theirs["error"]))
        self.assertGreater(too_complex, 0)
        for answer, count in matches.items():
            self.assertGreater(count, PAIRS // 10, f"the pairs say little when so few of them are {answer}")

    def test_what_is_no_json_is_refused(self):
        """In the same words but for a few: each version of Jackson words some differently, and their places more so."""
        source = Pairs(SEED + 1)
        pairs = [(source.damaged(pattern), event) for pattern, event in (source.pair() for _ in range(DAMAGED))]
        refused = same = 0
        for (pattern, event), ours, theirs in self.both(pairs):
            with self.subTest(pattern=pattern, event=event):
                if theirs["error"] is None:
                    # Unless something stands behind the object, or too many ways are open (see EXCEPTIONS).
                    self.assertIn(ours["match"], (theirs["match"], None))
                    continue
                self.assertIsNone(ours["match"])
                words = [text.removeprefix(REASON).split("\n at ")[0].split(" (for ")[0].split(" (start marker")[0]
                         for text in (ours["error"], theirs["error"])]
                refused += 1
                same += words[0] == words[1]
        self.assertGreater(refused, DAMAGED // 2)
        self.assertGreater(same, refused * 0.95)

    def test_exceptions(self):
        found = self.both([(pattern, event) for _, pattern, event, _, _ in EXCEPTIONS])
        for (what, _, _, ours, theirs), (_, weir, ruler) in zip(EXCEPTIONS, found):
            with self.subTest(what):
                self.assertEqual((weir["match"], ruler["match"]), (ours, theirs))
