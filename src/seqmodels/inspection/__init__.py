"""Looking inside trained models and their runs."""
