"""What is wrong with a machine before a build finds out: facts collected once, and checks of them."""
