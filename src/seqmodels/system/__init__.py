"""The machine below: durable files, memory, threads, and how packages show their names."""
