"""What a comparison found: how much is equal, the first differences, and what could not be compared, and why."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

SHOWN = 10
"""Differences of one kind that are told one by one."""


@dataclass
class Check:
    """One kind of thing that was compared."""

    equal: int = 0
    different: int = 0
    first: list[str] = field(default_factory=list)
    """The first differences, a sentence each."""
    left_out: Counter[str] = field(default_factory=Counter)
    """How many could not be compared, by why."""

    def same(self, is_same: bool, otherwise: str) -> None:
        """Count one comparison, and say what differs."""
        if is_same:
            self.equal += 1
            return
        self.different += 1
        if len(self.first) < SHOWN:
            self.first.append(otherwise)

    def leave_out(self, why: str, count: int = 1) -> None:
        if count:
            self.left_out[why] += count


NAMES = (
    "states",
    "states in Redis",
    "counts",
    "dead letters",
    "catalogue",
    "hidden",
    "cards",
    "lists",
    "list contents",
)


@dataclass
class Report:
    """All checks by name, and what an operator should know besides."""

    checks: dict[str, Check] = field(default_factory=lambda: {name: Check() for name in NAMES})
    notes: list[str] = field(default_factory=list)

    def __getitem__(self, name: str) -> Check:
        return self.checks[name]

    @property
    def is_equal(self) -> bool:
        return not any(check.different for check in self.checks.values())

    def differences(self) -> Iterable[str]:
        """The first of each kind, one line each."""
        for name, check in self.checks.items():
            yield from (f"{name}: {sentence}" for sentence in check.first)

    def as_json(self) -> dict[str, Any]:
        return {
            "equal": self.is_equal,
            "checks": {
                name: {
                    "equal": check.equal,
                    "different": check.different,
                    "first": check.first,
                    "not_comparable": dict(check.left_out),
                }
                for name, check in self.checks.items()
            },
            "notes": self.notes,
        }
