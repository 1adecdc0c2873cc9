"""Small pages served to a few people: an address, links with tokens, forms that need no JavaScript, strict headers."""
