"""Judge what magnifies breathing: rendered people whose breath is known, and real clips."""
