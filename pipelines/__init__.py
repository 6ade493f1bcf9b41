"""The recipes: data work as plain functions and small classes. Two drivers call them (streams/, assets/)."""
