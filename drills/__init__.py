"""What the captain rehearses: every change has its way back before it is made."""
