"""Training: what a run is, what it leaves in its folder, and how one or many runs are made."""
