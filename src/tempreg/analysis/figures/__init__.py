"""A picture beside each result that a drawing of its arrays would not explain."""
