"""Group convolutions, framework-neutral: index tables, filter masks, layer descriptions, the reference."""
