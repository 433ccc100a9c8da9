"""How folders of samples are laid out: classes, parts, sessions, tables of labels."""
