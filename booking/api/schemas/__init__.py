"""What goes in and out of the API, one noun a file; unknown fields are refused."""
