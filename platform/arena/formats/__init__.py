"""How dates and numbers are written where Django's own formats would mislead."""
