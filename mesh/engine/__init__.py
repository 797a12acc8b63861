"""How rows are answered: batches, replica choice, deadlines, breakers and shadows at work. asyncio, without Ray."""
