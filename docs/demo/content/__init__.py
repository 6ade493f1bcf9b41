"""What the made documents of the fictional Larkspur Observatory say."""
