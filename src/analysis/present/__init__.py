"""The numbers of a comparison as sentences, pictures and tables; no arithmetic."""
