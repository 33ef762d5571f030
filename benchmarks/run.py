"""Run the measurements of one group: `python -m benchmarks.run figures [NAME | --resume]`.

The group of a script is the start of its name: `quality_…`, `search_…`; all others are `figures`. Each runs
in a process of its own and prints its table; the output is kept in `build/bench/`, and `--resume` leaves out what is
there already.
"""

import subprocess
import sys
from pathlib import Path

GROUPS = ("quality", "search", "chaos")
OUTPUT = Path("build/bench")


def scripts_of(group: str) -> list[str]:
    """Names of the scripts in a group, in order; a script has a `main`."""
    names = (path.stem for path in sorted(Path(__file__).parent.glob("*.py")) if "def main(" in path.read_text())
    return [
        name
        for name in names
        if name != "run" and (name.split("_")[0] if name.split("_")[0] in GROUPS else "figures") == group
    ]


def main(group: str, choice: str = "") -> int:
    """Run a group, or the one script named; the number of scripts that failed."""
    names = scripts_of(group)
    if choice and choice != "--resume":
        names = [name for name in names if choice in (name, name.removeprefix(f"{group}_"))]
    if not names:
        print(f"There is no measurement {choice or group!r} here.", file=sys.stderr)
        return 1 if choice else 0
    OUTPUT.mkdir(parents=True, exist_ok=True)
    failed = 0
    for name in names:
        result = OUTPUT / f"{name}.txt"
        if choice == "--resume" and result.exists():
            print(result.read_text())
            continue
        print(f"== {name}", flush=True)
        with subprocess.Popen([sys.executable, "-m", f"benchmarks.{name}"], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            lines = []
            for line in child.stdout:
                print(line, end="", flush=True)
                lines.append(line)
        if child.returncode:
            failed += 1
            print(f"{name} ended with {child.returncode}.", file=sys.stderr)
        else:
            result.write_text("".join(lines))
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
