"""Letters to people: kept until they are sent, sent by whoever the operator names."""
