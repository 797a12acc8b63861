"""What every tier shares."""
