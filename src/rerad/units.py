"""The few conversion factors used at the rim; inside, everything is mm, Gy, degrees, MU, days."""

GY_PER_CGY: float = 0.01
"""Gray in one centigray."""

MM_PER_CM: float = 10.0
"""Millimetres in one centimetre."""

CC_PER_MM3: float = 1e-3
"""Cubic centimetres in one cubic millimetre."""

DAYS_PER_MONTH: float = 30.4375
"""Mean days in a month (365.25 / 12): recovery tables speak in months, dates in days."""
