"""One answer per screen: what a page shows, composed from what the API says. Counts come from the API, never from rows."""
