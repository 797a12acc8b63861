"""How do shadows compare with the models that answer? Counted where rows are answered, added up in one place. No Ray."""
