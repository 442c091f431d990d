"""What the commands share: settings, inputs, checks, the process of a contestant, rows."""
