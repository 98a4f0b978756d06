"""Features -> statistics -> number; pictures; the record that names its protocol."""
