"""Every published figure, each with the command that prints it. Nothing in the house imports this."""
