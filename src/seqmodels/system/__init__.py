"""Operating system services: durable files, memory, threads; and lazy public names of packages."""
