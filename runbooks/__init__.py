"""What the captain looks at: checks that read and change nothing."""
