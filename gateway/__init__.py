"""HTTP and the command line, on top of everything.

Read in this order: `serve` (a process), `front` (until it is ready), `app`, `access`, `paths`, `bodies`, `problems`,
`metrics`, `state` (what a gateway holds), `changes` (whose list changed), `routes`; `static` is the page, `cli` the
`freshet` command, `demo` the sample shop.
"""
