"""Serves the pages, keeps people logged in, and answers each screen with one request, from the API over HTTP only."""
