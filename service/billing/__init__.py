"""What a call costs: usage as the server reports it, dated prices, and the sum by purpose."""
