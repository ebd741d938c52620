"""Follows Firebreak's circuit breakers and decides, request by request, where traffic goes.

One file without dependencies, for Python 3.9 and later: copy it into your model server or gateway. The rules are those of
docs/integrating.md, "The breaker".

    breakers = BreakerClient(fallback="llm-fallback")
    breakers.follow(MountedConfigMap("/etc/firebreak"))
    decision = breakers.decide("llm-api")  # "target", "block" or Fallback(name="llm-fallback")

What it holds to: once a breaker was read, nothing that is missing, unreadable, malformed or stale sends more traffic
towards the target. What was read is kept in memory only. After a restart, a ConfigMap that was deleted meanwhile, an empty
mount or a missing key is an answer, "there is no breaker", and counts as closed: everything goes to the target, and no
option changes that. A store or an entry that cannot be read at all is unknown: `fallback` serves, or requests are refused,
unless `when_unknown="target"` sends everything to the target.
"""

import json
import os
import random as random_module
import re
import threading
import time
from calendar import monthrange
from datetime import datetime, timedelta, timezone
from typing import Callable, Dict, NamedTuple, Optional, Set, Tuple, Union

TARGET = "target"
# Refuse the request, with 503 or a fixed text.
BLOCK = "block"

# What a look into the store gave, besides its values by key (None where a value is there and cannot be had):
# the store says that there is no ConfigMap, or it says nothing.
NONE = "none"
UNREADABLE = "unreadable"

# How long a half-open breaker holds without being renewed: Firebreak writes no longer lease.
HALF_OPEN_LEASE_S = 300.0
# A lease that ends later than any that is given, and this much more, means that one of the two clocks is wrong.
CLOCK_TOLERANCE_S = 60.0
# Reading a link costs nothing; everything is read again where it has changed, and now and then.
LINK_EVERY_S = 1.0
POLL_EVERY_S = 5.0
# Firebreak's entries have a few hundred bytes.
MAX_ENTRY_BYTES = 64 * 1024
# A file that is replaced while it is read is read again.
READ_ATTEMPTS = 3
# `<kind>.<name>`: an entry of Firebreak's. The other keys are for gateways that know one model only.
ENTRY_KEY = re.compile(r"[a-z0-9]+\.[a-z0-9]([-a-z0-9.]*[a-z0-9])?", re.ASCII)
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
RFC_3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
)


class Fallback(NamedTuple):
    """Where a request goes instead."""

    name: str


class View(NamedTuple):
    """A breaker as it counts now: a half-open one whose lease is over is open. `unknown`: nothing was ever readable."""

    state: str
    # Part (0..1) of the requests that the target gets.
    share: float
    # None: the rest is refused.
    fallback: Optional[str]


Decision = Union[str, Fallback]
Reading = Union[str, Dict[str, Optional[str]]]
# Name of a Deployment, or kind and name of another workload.
Target = Union[str, Tuple[str, str]]


class _Entry(NamedTuple):
    state: str
    share: float
    fallback: Optional[str]
    since: str
    since_s: float
    # -inf: there is none, or none that can be read.
    valid_until_s: float
    # When its lease was last seen to be renewed, by the monotonic clock.
    renewed_at_s: float = 0.0
    # Its lease was seen to be over: only a renewed one counts again, whatever a clock says later.
    lapsed: bool = False


class BreakerClient:
    """Knows the breakers of one namespace. May be used by several threads."""

    def __init__(
        self,
        fallback: Union[None, str, Callable[[str], Optional[str]]] = None,
        when_unknown: str = "fail-safe",
        on_problem: Optional[Callable[[str], None]] = None,
        wall_clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ):
        """
        :param fallback: who serves while nothing is known of a target; without one, requests are refused then.
        :param when_unknown: "target": while nothing is known, everything goes to the target. Not safe.
        :param on_problem: told once when something cannot be read, and again when it was readable meanwhile.
        """
        self._fallback = fallback
        self._when_unknown = when_unknown
        self._on_problem = on_problem
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        # None: there was an entry from the beginning, and it could never be read.
        self._known: Dict[str, Optional[_Entry]] = {}
        self._problems: Set[str] = set()
        # Whether the store ever answered: from then on, a target without an entry is one whose breaker is closed.
        self._answered = False
        self._lock = threading.RLock()
        self._stopping = threading.Event()

    def follow(self, source, poll_every_s: float = POLL_EVERY_S) -> None:
        """Looks at the source at once, and then now and then, in a thread of its own.

        :param source: has read() -> Reading, and may have version() -> object: what is cheap to compare.
        """
        version_of = getattr(source, "version", lambda: None)

        def look():
            try:
                self.take(source.read())
            except Exception:  # What a source throws is the same to us as what it cannot read.
                self.take(UNREADABLE)

        def run():
            version, read_at_s = seen, self._monotonic()
            while not self._stopping.wait(min(LINK_EVERY_S, poll_every_s)):
                current = version_of()
                if current == version and self._monotonic() - read_at_s < poll_every_s:
                    continue
                version, read_at_s = current, self._monotonic()
                look()

        seen = version_of()
        look()
        threading.Thread(target=run, name="firebreak-breakers", daemon=True).start()

    def stop(self) -> None:
        """Ends the following; what is known stays."""
        self._stopping.set()

    def take(self, reading: Reading) -> None:
        """Takes over what a look into the store gave."""
        with self._lock:
            self._tell("the store of the breakers cannot be read", reading == UNREADABLE)
            if reading == UNREADABLE:
                return
            first = not self._answered
            self._answered = True
            # What has vanished stays as it was last.
            if reading == NONE:
                return
            for key, text in reading.items():
                if not ENTRY_KEY.fullmatch(key):
                    continue
                entry = None if text is None else _parse_entry(key, text)
                self._tell("the breaker %s cannot be read" % key, entry is None)
                if entry is not None:
                    self._learn(key, entry)
                elif first and key not in self._known:
                    self._known[key] = None

    def decide(self, target: Target, random: Callable[[], float] = random_module.random) -> Decision:
        """
        :param random: a number of [0, 1), even: decides which requests of a half-open breaker are the target's.
        :returns: TARGET, BLOCK or Fallback.
        """
        view = self.view(target)
        if view.state == "closed":
            return TARGET
        if view.state == "half-open" and random() < view.share:
            return TARGET
        if view.state == "unknown" and self._when_unknown == "target":
            return TARGET
        return BLOCK if view.fallback is None else Fallback(view.fallback)

    def view(self, target: Target) -> View:
        kind, name = ("Deployment", target) if isinstance(target, str) else target
        key = "%s.%s" % (kind.lower(), name)
        with self._lock:
            known = self._known.get(key)
            if known is None:
                if self._answered and key not in self._known:
                    return View("closed", 1.0, None)
                return View("unknown", 0.0, self._fallback_for(name))
            return self._counted(key, known)

    def _counted(self, key: str, known: _Entry) -> View:
        if known.state == "half-open" and not known.lapsed and not self._holds(known):
            known = self._known[key] = known._replace(lapsed=True)
        state = "open" if known.lapsed else known.state
        return View(state, {"closed": 1.0, "open": 0.0}.get(state, known.share), known.fallback)

    def _fallback_for(self, name: str) -> Optional[str]:
        found = self._fallback(name) if callable(self._fallback) else self._fallback
        return None if found == name else found

    def _holds(self, known: _Entry) -> bool:
        """Whether a half-open breaker's lease goes on: by the clock on the wall, and by one that nobody can set."""
        left_s = known.valid_until_s - self._wall_clock()
        unrenewed_s = self._monotonic() - known.renewed_at_s
        return 0 < left_s <= HALF_OPEN_LEASE_S + CLOCK_TOLERANCE_S and unrenewed_s < HALF_OPEN_LEASE_S

    def _learn(self, key: str, entry: _Entry) -> None:
        before = self._known.get(key)
        # A copy that is older than what was seen already, as a server behind the others may have it.
        if before is not None and entry.since_s < before.since_s:
            if _openness(entry) > self._counted(key, before).share:
                return
            before = self._known[key]
        now_s = self._wall_clock()
        until_s = entry.valid_until_s
        if until_s - now_s > HALF_OPEN_LEASE_S + CLOCK_TOLERANCE_S:
            until_s = float("-inf")
        # A time in the future would make everything that follows look old.
        since_s, renewed_at_s, lapsed = min(entry.since_s, now_s), self._monotonic(), False
        if before is not None and before.state == entry.state and before.since == entry.since:
            since_s = before.since_s
            if not until_s > before.valid_until_s:
                renewed_at_s, lapsed = before.renewed_at_s, before.lapsed
        self._known[key] = entry._replace(
            since_s=since_s, valid_until_s=until_s, renewed_at_s=renewed_at_s, lapsed=lapsed
        )

    def _tell(self, text: str, is_so: bool) -> None:
        if not is_so:
            self._problems.discard(text)
        elif text not in self._problems:
            self._problems.add(text)
            if self._on_problem is not None:
                self._on_problem(text)


class MountedConfigMap:
    """A ConfigMap mounted as a folder.

    Kubernetes swaps the link `..data` to a folder with the next version, so that all files are of one. Mount the folder,
    never a file of it by `subPath`: that one is never brought up to date.
    """

    def __init__(self, path: str):
        self._path = path

    def version(self) -> Optional[str]:
        try:
            return os.readlink(os.path.join(self._path, "..data"))
        except OSError:
            return None

    def read(self) -> Reading:
        for _attempt in range(READ_ATTEMPTS):
            try:
                return self._read()
            except FileNotFoundError:  # Swapped while it was read.
                continue
            except OSError:
                return UNREADABLE
        return UNREADABLE

    def _read(self) -> Reading:
        folder = os.path.join(self._path, self.version() or ".")
        return {
            name: _read_entry(os.path.join(folder, name))
            for name in os.listdir(folder)
            if ENTRY_KEY.fullmatch(name)
        }


def _read_entry(path: str) -> Optional[str]:
    """:raises FileNotFoundError: where it is gone; None for whatever else keeps it from being read."""
    try:
        with open(path, "rb") as file:
            # One byte more than is allowed tells that there is more.
            content = file.read(MAX_ENTRY_BYTES + 1)
        return None if len(content) > MAX_ENTRY_BYTES else content.decode("utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError):
        return None


def _refuse_constant(text: str) -> None:
    raise ValueError("%s is no JSON" % text)


def _parse_entry(key: str, text: str) -> Optional[_Entry]:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_ENTRY_BYTES:
        return None
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or "__proto__" in value:
        return None
    state, share, fallback, since = (value.get(field, False) for field in ("state", "share", "fallback", "since"))
    if state not in ("closed", "open", "half-open"):
        return None
    # In Python, True is an int.
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        return None
    if fallback is not None and not (isinstance(fallback, str) and NAME.fullmatch(fallback)):
        return None
    # A target that is its own fallback would get everything.
    if fallback == key.split(".", 1)[1]:
        return None
    since_s = _parse_time(since)
    if since_s is None:
        return None
    until_s = _parse_time(value.get("validUntil"))
    return _Entry(state, float(share), fallback, since, since_s, float("-inf") if until_s is None else until_s)


def _openness(entry: _Entry) -> float:
    return {"closed": 1.0, "open": 0.0}.get(entry.state, entry.share)


def _parse_time(value: object) -> Optional[float]:
    """Seconds since the epoch of an RFC 3339 time; None for anything else."""
    match = RFC_3339.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(match.group(index)) for index in range(1, 7))
    if not (year > 0 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    zone = match.group(8)
    offset = timedelta()
    if zone != "Z":
        if int(zone[1:3]) > 23 or int(zone[4:6]) > 59:
            return None
        offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[4:6])) * (-1 if zone[0] == "-" else 1)
    epoch = datetime(1970, 1, 1, tzinfo=timezone.utc)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc) - offset
    except OverflowError:
        return None
    return (moment - epoch).total_seconds() + float(match.group(7) or 0)
