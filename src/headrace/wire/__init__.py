"""The shapes of the HTTP API and how they become JSON; shared by server and client, it knows neither of them."""
