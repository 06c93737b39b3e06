"""``record.json`` of a run: its data, the time and memory of its phases, and a bounded choice of its test outputs."""
