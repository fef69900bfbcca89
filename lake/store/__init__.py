"""Where a lake lies: a folder of this machine, or a part of a bucket that speaks S3."""
