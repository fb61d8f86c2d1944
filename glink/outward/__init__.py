"""HTTP from here to others: one exchange, bounded in time and size, that hears when it is to end."""
