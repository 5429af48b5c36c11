"""The web: readers' pages and the machine's health. It reads a request, calls a use case, and shows what is true."""
