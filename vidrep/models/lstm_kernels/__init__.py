"""The recurrence of one LSTM layer: a plain reference, and a fast sequence for each kind of device."""
