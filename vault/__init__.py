"""The safe: secret stores behind one contract. Below it stand `stores` and `core`; recipes never see it."""
