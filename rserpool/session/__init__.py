"""Pool element and pool user sessions: control channel, cookies, failover."""
