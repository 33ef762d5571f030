"""Write the `.env` that compose reads, with fresh API keys; one that is there is left alone.

`python deploy/make_env.py .env`; needs nothing but Python.
"""

import os
import secrets
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / ".env.example"
ROLES = ("shop", "reader", "admin")


def make_env(path: Path) -> bool:
    """Write `path` from the example; False where it is there already."""
    keys = ",".join(f"{role}:{secrets.token_urlsafe(32)}" for role in ROLES)
    lines = [
        f"FRESHET_API_KEYS={keys}" if line.startswith("FRESHET_API_KEYS=") else line
        for line in EXAMPLE.read_text().splitlines()
    ]
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(file, "w") as out:
        out.write("\n".join(lines) + "\n")
    return True


if __name__ == "__main__":
    target = Path(sys.argv[1])
    print(f"{target} is written." if make_env(target) else f"{target} is there already; nothing was changed.")
