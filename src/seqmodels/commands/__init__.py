"""The subcommands of ``seqmodels``, imported one at a time."""
