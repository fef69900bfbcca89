"""A lake's copy in a bucket, and a copy of one here: only what changed goes over."""
