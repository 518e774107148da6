// qstrs specific to this port
Q(/ lib)
