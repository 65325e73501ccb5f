"""Networks, in torch only: LSTM, composite model, classifier, losses."""
