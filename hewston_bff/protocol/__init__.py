"""What goes over the wire between clients and us: ids, times, commands, notices."""
