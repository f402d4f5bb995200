backends.b1.state = "down"
