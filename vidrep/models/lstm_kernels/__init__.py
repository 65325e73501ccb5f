"""The recurrence of one LSTM layer: a plain reference, fast ones for each kind of device, and the choice among them."""
