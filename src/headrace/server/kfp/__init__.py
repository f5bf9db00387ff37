"""KFP's REST API: its paths, words and quirks. It decides nothing: every answer is the service's."""
