"""The recurrence of one LSTM layer: a plain reference, and a fast implementation for each kind of device."""
