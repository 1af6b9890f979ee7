"""What is shown of a fit: tables, words, pictures, files."""
