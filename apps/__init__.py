"""The programs, one module each; installed as the package rserpool_apps."""
