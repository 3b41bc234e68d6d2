"""What each method may be asked: specification, published values, search space; without torch."""
