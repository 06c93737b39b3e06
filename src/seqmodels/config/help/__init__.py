"""What can be typed: keys with their comments, ``--help`` and completion."""
