"""The command line. One module per group of commands: parse, call one function, print."""
