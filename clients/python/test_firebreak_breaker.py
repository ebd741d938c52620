"""Run by `python3 -m unittest` in this folder, and by the tests of the Node client, which add generated cases."""

import json
import os
import re
import shutil
import tempfile
import time
import unittest
from datetime import datetime, timezone

from firebreak_breaker import BLOCK, NONE, TARGET, UNREADABLE, BreakerClient, Fallback, MountedConfigMap

HERE = os.path.dirname(os.path.abspath(__file__))


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


CASES = load(os.path.join(HERE, "..", "cases.json"))
START_S = datetime(2026, 1, 1, 12, tzinfo=timezone.utc).timestamp()


def text_of(value):
    if value is None:
        return None
    times = re.fullmatch(r"\$times:(\d+):(.*)", value, re.DOTALL)
    if times:
        return times.group(2) * int(times.group(1))
    return json.dumps(CASES["values"][value[1:]]) if value.startswith("$") else value


def reading_of(seen):
    if isinstance(seen, str):
        return {"none": NONE, "unreadable": UNREADABLE}[seen]
    return {key: text_of(value) for key, value in seen.items()}


def expected_of(expected):
    return Fallback(expected["fallback"]) if isinstance(expected, dict) else expected


class Clock:
    def __init__(self):
        self.at_s = 0.0
        self.offset_s = 0.0

    def wall(self):
        return START_S + self.at_s + self.offset_s

    def monotonic(self):
        return self.at_s


class Decisions(unittest.TestCase):
    def play(self, case):
        clock = Clock()
        options = case.get("options", {})
        client = BreakerClient(
            fallback=options.get("fallback"),
            when_unknown=options.get("whenUnknown", "fail-safe"),
            wall_clock=clock.wall,
            monotonic=clock.monotonic,
        )
        decided = []
        for step in case["steps"]:
            clock.at_s = step["atS"]
            clock.offset_s = step.get("clockOffsetS", clock.offset_s)
            if "see" in step:
                client.take(reading_of(step["see"]))
            if "random" in step:
                name = step.get("target", "llm")
                target = (step["kind"], name) if "kind" in step else name
                decided.append(client.decide(target, lambda: step["random"]))
        return decided

    def check(self, case):
        expected = [expected_of(step["expect"]) for step in case["steps"] if "expect" in step]
        self.assertGreater(len(expected), 0)
        self.assertEqual(self.play(case), expected, json.dumps(case))

    def test_cases(self):
        self.assertEqual(CASES["start"], "2026-01-01T12:00:00Z")
        for case in CASES["cases"]:
            with self.subTest(case["name"]):
                self.check(case)

    def test_malformed_entries_change_nothing(self):
        for text in CASES["malformed"]["texts"]:
            with self.subTest(text[:100]):
                see = {"deployment.llm": text}
                ask = {"atS": 1, "random": 0}
                for before, expected in [
                    ({"deployment.llm": "$open"}, Fallback("spare")),
                    ({"deployment.llm": "$closed"}, TARGET),
                    ({"deployment.llm": "$blocked"}, BLOCK),
                    ("none", TARGET),
                ]:
                    steps = [{"atS": 0, "see": before}, {"atS": 1, "see": see}, ask]
                    self.assertEqual(self.play({"steps": steps}), [expected])
                steps = [{"atS": 0, "see": see}, {"atS": 0, "see": "none"}, ask]
                self.assertEqual(self.play({"options": {"fallback": "other"}, "steps": steps}), [Fallback("other")])

    @unittest.skipUnless("FIREBREAK_GENERATED_CASES" in os.environ, "no generated cases are given")
    def test_generated_cases(self):
        generated = load(os.environ["FIREBREAK_GENERATED_CASES"])["cases"]
        self.assertGreater(len(generated), 0)
        for case in generated:
            with self.subTest(case["name"]):
                self.check(case)


class Mounted(unittest.TestCase):
    def setUp(self):
        self.path = tempfile.mkdtemp(prefix="firebreak-mount-")
        self.addCleanup(shutil.rmtree, self.path, True)
        self.version = 0
        self.client = None

    def tearDown(self):
        if self.client is not None:
            self.client.stop()

    def mount(self, values):
        """As kubelet does it: a new folder, a new link, and one rename that swaps the two."""
        self.version += 1
        folder = "..2026_01_01_%d" % self.version
        os.mkdir(os.path.join(self.path, folder))
        for name, value in values.items():
            with open(os.path.join(self.path, folder, name), "wb") as file:
                file.write(value)
        link = os.path.join(self.path, "..data_tmp")
        os.symlink(folder, link)
        os.rename(link, os.path.join(self.path, "..data"))

    def follow(self, poll_every_s):
        self.client = BreakerClient(fallback="other")
        self.client.follow(MountedConfigMap(self.path), poll_every_s)
        return self.client

    def eventually(self, expected, target="llm"):
        deadline_s = time.monotonic() + 10
        while self.client.decide(target) != expected:
            self.assertLess(time.monotonic(), deadline_s, "waited in vain for %r" % (expected,))
            time.sleep(0.01)

    def value(self, name):
        return json.dumps(CASES["values"][name]).encode()

    def test_swaps_are_followed(self):
        self.mount({"deployment.llm": self.value("closed"), "state": b"closed"})
        self.assertEqual(self.follow(0.02).decide("llm"), TARGET)
        self.mount({"deployment.llm": self.value("open")})
        self.eventually(Fallback("spare"))
        shutil.rmtree(self.path)
        time.sleep(0.1)
        self.assertEqual(self.client.decide("llm"), Fallback("spare"))
        os.mkdir(self.path)
        self.mount({"deployment.llm": self.value("reclosed")})
        self.eventually(TARGET)

    def test_values_that_cannot_be_had_change_nothing(self):
        self.mount({"deployment.llm": self.value("open"), "deployment.next": self.value("open")})
        self.follow(0.02)
        self.mount(
            {
                "deployment.llm": self.value("reclosed").replace(b"}", b', "x": "\xff"}'),
                "deployment.huge": b"x" * 1024 * 1024,
                "deployment.next": self.value("reclosed"),
            }
        )
        self.eventually(TARGET, "next")
        self.assertEqual(self.client.decide("llm"), Fallback("spare"))

    def test_a_folder_that_is_not_there_fails_safe(self):
        shutil.rmtree(self.path)
        self.assertEqual(self.follow(3600).decide("llm"), Fallback("other"))
        os.mkdir(self.path)
        self.assertEqual(self.follow(3600).decide("llm"), TARGET)

    def test_a_source_that_throws_is_unreadable(self):
        class Source:
            def read(self):
                raise RuntimeError("the API is away")

        self.client = BreakerClient()
        self.client.follow(Source(), 3600)
        self.assertEqual(self.client.decide("llm"), BLOCK)


if __name__ == "__main__":
    unittest.main()
