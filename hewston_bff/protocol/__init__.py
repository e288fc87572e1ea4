"""What clients and this server exchange: ids, times, commands, notices."""
