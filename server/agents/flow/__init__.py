"""What a flow is: its definition, what it may say, and how its templates and conditions are read."""
