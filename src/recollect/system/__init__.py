"""How a process shares a machine: memory, processes, files."""
