"""Numbers from papers, each row with its source."""
