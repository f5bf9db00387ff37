"""The shapes of the HTTP API and how they become JSON; shared by server and client, and independent of both."""
