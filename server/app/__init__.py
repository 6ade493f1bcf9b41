"""The door: `application` makes the Sanic application, `processes` serves it and itself loads none of it."""
