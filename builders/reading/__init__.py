"""What the original archives hold: folders, lists, splits, files with the same bytes."""
