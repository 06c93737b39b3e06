"""From configurations to objects: composing, checking, the allow-list, explaining mistakes."""
