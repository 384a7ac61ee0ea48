"""What every test of the workbench needs: children that can be interrupted."""

import signal

# A shell's background job starts with SIGINT ignored, and children inherit that: programs under test could not be
# stopped by Ctrl-C there, though nothing is wrong with them.
signal.signal(signal.SIGINT, signal.default_int_handler)
