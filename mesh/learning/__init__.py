"""How do models come about? Seeded training of the models that the mesh ships; later rooms add to it."""
