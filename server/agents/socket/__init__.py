"""The socket: executions asked for, followed, called off and answered over one connection."""
