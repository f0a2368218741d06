"""Work on structures: masks, contours, margins, names."""
