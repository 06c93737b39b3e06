"""The subcommands of ``seqmodels``; only the one that is called is imported."""
