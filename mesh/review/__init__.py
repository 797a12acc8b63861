"""What people decide: a queue of what is worth their time, decisions, labels, and honest figures made of them."""
