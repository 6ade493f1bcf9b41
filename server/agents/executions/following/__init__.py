"""What executions tell, heard in order and once, from any process."""
