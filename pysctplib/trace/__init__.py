"""Makes traffic visible: pcapng files, one-line logs, message sequences."""
