"""The keys that sign access tokens: made at first use, rotated with an overlap, published."""
