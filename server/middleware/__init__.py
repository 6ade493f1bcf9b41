"""The hall: what every request passes before it reaches a room."""
