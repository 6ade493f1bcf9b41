"""The door, the hall and the rooms: everything that answers HTTP. It shares rows with `assets`, never imports."""
