"""What is shown: figures, HTML and PDF."""
