"""TFDS builders that turn the original archives into sharded TFRecords."""
