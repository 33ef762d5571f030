"""The `freshet` command: `main` (all commands and what an error looks like), then a module a command.

Processes: `worker`, `gateway`, `trainer`, `demo`, over `process` (restarts, exit codes).
The log: `topics`, `dead_letters`, `import_feed`, `replay`, over `doors` (who may write and read a log that is held).
Without a broker: `evaluate`; it and `replay` share `columns`. `doctor` looks at everything. `progress` draws bars.

Whatever takes time to load is imported inside the functions, so that `--help` answers at once.
"""
