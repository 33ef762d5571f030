"""HTTP and the command line, on top of everything: `app`, `routes`, `problems`, `cli`, `demo`."""
