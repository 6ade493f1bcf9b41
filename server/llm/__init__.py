"""Language models behind one contract: who asks does not know which."""
