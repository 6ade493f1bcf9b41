"""The agents wing: flows, how they are executed, and the doors through which they are reached."""
