"""Patterns and events that fit them more or less, from a seed: every operator, arrays, `$or`, odd numbers, letters beyond
ASCII, names given twice. Both are texts, for spellings and repeated names matter."""

import json
import random

STRINGS = ["", "a", "b", "ab", "abc", "ABC", "aBc", "x.y", "a*b", "a\\b", "été", "ÉTÉ", "straße", "STRASSE", "日本", "😀", "k", "K",
           "prefix-1", "prefix-2", "one/two/three", "line\nbreak", " a", "a ", "300", "true", "null",
           "10.0.0.1", "010.0.0.01", "10.0.0.77", "10.0.0.256", "192.168.1.255", "2001:db8::1", "2001:0DB8:0:0:0:0:0:1", "0a00::1",
           "0A00:1::", "::", "::1", "::ffff:1.2.3.4"]
NUMBERS = ["0", "-0", "1", "1.0", "1e0", "-1", "300", "300.0", "3.0e2", "0.1", "1e-1", "100", "5", "3.018e2", "123456789012",
           "9007199254740993", "9007199254740992", "9007199254740993.0", "123456789012345678", "0.1234567890123456789", "1e400",
           "1e-400", "-5e9", "5e9", "1E5", "1e+5", "4.9e-324", "0.30000000000000004", "2.5", "2.50"]
NAMES = ["a", "b", "c", "d", "a.b", "k", "z", "r", "é", "A"]
BLOCKS = ["10.0.0.0/8", "10.0.0.77/24", "192.168.0.0/16", "10.0.0.0/31", "2001:db8::/32", "0a00::/9",
          "10.0.0.1/32", "2001:db8::/128", "10.0.0.0", "x/8", "10.0.0.0/x", "10.0.0.0/-1"]
# Beyond ASCII but within 16 bits: event-ruler folds halves of the rest (see test_patterns.EXCEPTIONS).
FOLDED = ["", "ABC", "été", "ÉTÉ", "STRASSE", "straße", "k", "K", "prefix-1"]
# The example that AWS refuses.
TOO_MANY_WAYS = "*:*:*:*:*:event-bus/*"
WILDCARDS = ["*", "a*", "*c", "a*c", "*b*", "", "a\\*b", "a\\\\b", "prefix-*", "one/*/three", "*é*", "a*b*c", "*1*",
             "**", "a**c", "a\\x", "a\\", TOO_MANY_WAYS]
BOUNDS = [["="], ["<"], ["<="], [">"], [">="], [">", "<"], [">=", "<="], [">", "<="]]


class Members(list):
    """The (name, value) pairs of a JSON object: a name may come twice."""


class Spelling(str):
    """A number as it is written."""


def written(value):
    if isinstance(value, Spelling):
        return str(value)
    if isinstance(value, dict):
        value = Members(value.items())
    if isinstance(value, Members):
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{written(each)}" for name, each in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


class Pairs:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.any = self.random.choice

    def number(self):
        return Spelling(self.any(NUMBERS))

    def scalar(self):
        kind = self.random.random()
        if kind < 0.55:
            return self.any(STRINGS)
        return self.number() if kind < 0.85 else self.any([True, False, None])

    def operator(self):
        name = self.any(["prefix", "suffix", "equals-ignore-case", "wildcard", "numeric", "numeric", "cidr", "exists", "exists",
                         "anything-but", "anything-but", "exactly"])
        if name == "prefix":
            return {name: self.any(["", "a", "ab", "pre", "été", "1", {"equals-ignore-case": self.any(["", "A", "PRE", "É", "straß"])}])}
        if name == "suffix":
            return {name: self.any(["", "c", "b", "-1", "té", "1", {"equals-ignore-case": self.any(["", "C", "TÉ", "ASSE"])}])}
        if name == "numeric":
            return {name: [part for sign in self.any(BOUNDS) for part in (sign, self.number())]}
        if name == "anything-but":
            return {name: self.excluded()}
        return {name: self.any({"equals-ignore-case": FOLDED, "wildcard": WILDCARDS, "cidr": BLOCKS, "exists": [True, False],
                                "exactly": STRINGS}[name])}

    def excluded(self):
        if self.random.random() < 0.5:
            one = self.any([self.number, lambda: self.any(STRINGS)])
            return self.any([one, lambda: [one(), one()], lambda: [self.scalar(), self.scalar()]])()
        name = self.any(["prefix", "suffix", "equals-ignore-case", "wildcard"])
        texts = {"prefix": ["a", "ab", "pre", "é", ""], "suffix": ["c", "b", "É", "1"], "equals-ignore-case": FOLDED,
                 "wildcard": ["*", "a*c", "*b*", "pre*", ""]}[name]
        return {name: self.any([self.any(texts), [self.any(texts), self.any(texts)]])}

    def pattern(self, depth=0):
        members = Members()
        for _ in range(self.any([1, 1, 2, 2, 3])):
            kind = self.random.random()
            if kind < 0.12 and depth < 3:
                members.append(("$or", [self.pattern(depth + 1) for _ in range(self.any([2, 2, 3]))]))
            elif kind < 0.45 and depth < 3:
                members.append((self.any(NAMES), self.pattern(depth + 1)))
            else:
                tests = [self.operator() if self.random.random() < 0.6 else self.scalar() for _ in range(self.any([1, 1, 1, 2, 3]))]
                members.append((self.any(NAMES), tests))
        return members

    def value(self, depth):
        kind = self.random.random()
        if kind < 0.5 or depth > 3:
            return self.scalar()
        if kind < 0.75:
            return [self.value(depth + 1) for _ in range(self.any([0, 1, 2, 2, 3]))]
        return self.event(depth + 1)

    def event(self, depth=0):
        return Members((self.any(NAMES), self.value(depth)) for _ in range(self.any([0, 1, 2, 3]) + (not depth) * 2))

    def passing(self, test):
        """What a test may well pass on."""
        if not isinstance(test, dict):
            return test
        ((name, operand),) = test.items()
        if name == "numeric":
            return operand[1]
        if name == "cidr":
            return operand.split("/")[0]
        if name == "exists":
            return self.scalar() if operand else Members()
        if name == "anything-but":
            return self.scalar()
        text = operand["equals-ignore-case"] if isinstance(operand, dict) else operand
        return {"prefix": text + "zz", "suffix": "zz" + text, "wildcard": text.replace("*", "q")}.get(name, text)

    def like(self, pattern, depth=0):
        """An event that resembles the pattern."""
        if isinstance(pattern, Members):
            members = Members()
            for name, below in pattern:
                if name == "$or":
                    branch = self.like(self.any(below), 9)
                    members += branch
                elif self.random.random() < 0.92:
                    members.append((name, self.like(below, depth + 1)))
            if 0 < depth < 6 and self.random.random() < 0.3:
                return [members, self.like(pattern, depth + 1)]
            return members
        value = self.scalar() if self.random.random() < 0.15 else self.passing(self.any(pattern))
        return [self.value(3), value] if self.random.random() < 0.2 else value

    def damaged(self, text):
        at = self.random.randrange(len(text))
        return self.any([text[:at] + text[at + 1:], text[:at] + self.any('{}[]",:x1 tn-') + text[at:], text[:at]])

    def pair(self):
        """(pattern, event)"""
        pattern = self.pattern()
        event = self.like(pattern) if self.random.random() < 0.7 else self.event()
        return written(pattern), written(event)
