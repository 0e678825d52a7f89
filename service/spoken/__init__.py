"""What people say, read as what they mean: letters and digits one by one, numbers, words."""
