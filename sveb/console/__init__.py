"""What the terminal shows. No figure is computed here."""
