"""Tables in files: what kind of file it is, and its rows as lists of text, in bounded memory."""
