"""Load tests: clients × runs × seconds, against this service, the backend, or anything alike.

One process drives about 60 000 frame messages a second on one core (measured on a shared 2-core
machine, Python 3.11, frames of 300 bytes, 30 a second to each client: 1 000 clients took 40 % of a
core, 1 800 took 60 %, 2 600 took 72 %; about 13 µs a message, nine tenths of it the event loop and
the kernel). The share it used is part of every report, as above 80 % its figures say more about
itself than about the server.

`plan` says who does what, `record`, `tally` and `histogram` count, `peek`, `notices`, `wire` and
`events` read bytes: none of them knows sockets or clocks. `client` and `engine` do the I/O,
`report` makes figures of it, `table` and `plot` show them.
"""
