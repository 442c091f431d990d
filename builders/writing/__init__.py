"""What a dataset stores, and how it is written: records, shards, the facts beside them."""
