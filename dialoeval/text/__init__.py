"""What happens to text before it is counted: the protocols' cleaning and the official tools' tokenizers."""
