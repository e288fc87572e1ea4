"""Load tests: clients × runs × seconds, against this service, the backend, or anything alike.

One process drives about 60 000 frame messages a second on one core. Measured on a shared 2-core
machine, Python 3.11, 30 messages of 370 bytes a second to each client: 1 000 clients took 31 % of a
core, 1 600 took 47 %; of 300 bytes from a server that only sends, 1 800 took 60 % and 2 600 72 %.
That is 10 to 13 µs a message, most of it the event loop and the kernel. The share it used is part
of every report, as above 80 % its figures say more about itself than about the server.

`plan` says who does what, `record`, `tally` and `histogram` count, `peek`, `notices`, `wire` and
`events` read bytes: none of them knows sockets or clocks. `client` and `engine` do the I/O,
`report` makes figures of it, `table` and `plot` show them.
"""
