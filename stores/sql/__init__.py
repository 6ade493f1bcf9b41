"""The truth: engine, transactions, models, migrations, and the repository base that cannot forget its tenant."""
