"""`freshet`, which writes its snapshots every second, not every minute: `python -m tests.chaos.hurried worker …`."""

import sys

from streams import shared_views

EVERY_S = 1.0


if __name__ == "__main__":
    shared_views.SNAPSHOT_EVERY_S = EVERY_S
    if "trainer" in sys.argv:
        from streams import trainer

        trainer.SNAPSHOT_EVERY_S = EVERY_S
    from gateway.cli.main import main

    sys.argv[0] = "freshet"
    main()
