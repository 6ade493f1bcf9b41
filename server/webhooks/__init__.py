"""Telling other systems what happened: events, who is told of them, and how they are told without losing one."""
