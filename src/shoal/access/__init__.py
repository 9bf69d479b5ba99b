"""Who may do what, where: one pure function and its tables. The API, the command queue and the gateway all ask it."""
